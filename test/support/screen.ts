/**
 * What a person sees of a terminal's output: the characters on its screen after all that was written, which of the two
 * screens is shown, and whether the cursor is. Knows the sequences that hobbler writes and no others; one that it does
 * not know throws, so that nothing is shown by chance.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are steered by control characters
const SEQUENCE = /\u001b\[([?\d;]*)([A-Za-z])/y;

export class ScreenPicture {
  isAlternate = false;
  isCursorShown = true;
  wraps = true;
  #cells: string[][] = [];
  #row = 0;
  #column = 0;

  /** The picture after this output, from the last time that the alternate screen was entered or left. */
  static of(output: string): ScreenPicture {
    const screen = new ScreenPicture();
    screen.#write(output);
    return screen;
  }

  get lines(): string[] {
    return Array.from(this.#cells, (cells) =>
      Array.from(cells ?? [], (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    );
  }

  get text(): string {
    return this.lines.join('\n');
  }

  #write(output: string): void {
    for (let index = 0; index < output.length; ) {
      SEQUENCE.lastIndex = index;
      const match = SEQUENCE.exec(output);
      if (match) {
        this.#obey(match[1]!, match[2]!);
        index = SEQUENCE.lastIndex;
        continue;
      }
      const character = String.fromCodePoint(output.codePointAt(index)!);
      if (character === '\n') this.#row++;
      else if (character === '\r') this.#column = 0;
      else if (character >= ' ') {
        this.#cells[this.#row] ??= [];
        this.#cells[this.#row]![this.#column++] = character;
      }
      index += character.length;
    }
  }

  #obey(parameters: string, final: string): void {
    switch (final) {
      case 'm':
        return;
      case 'H': {
        const [row = 1, column = 1] = parameters.split(';').filter(Boolean).map(Number);
        this.#row = row - 1;
        this.#column = column - 1;
        return;
      }
      case 'K':
        this.#cells[this.#row]?.splice(this.#column);
        return;
      case 'J':
        if (parameters === '2') this.#cells = [];
        else {
          this.#cells[this.#row]?.splice(this.#column);
          this.#cells.splice(this.#row + 1);
        }
        return;
      case 'h':
      case 'l':
        this.#setMode(parameters, final === 'h');
        return;
      default:
        throw new Error(`a sequence that the test's screen does not know: ESC [ ${parameters} ${final}`);
    }
  }

  #setMode(mode: string, isOn: boolean): void {
    if (mode === '?1049') {
      this.isAlternate = isOn;
      this.#cells = [];
      this.#row = 0;
      this.#column = 0;
    } else if (mode === '?25') this.isCursorShown = isOn;
    else if (mode === '?7') this.wraps = isOn;
    else if (mode !== '?2004') throw new Error(`a mode that the test's screen does not know: ${mode}`);
  }
}
