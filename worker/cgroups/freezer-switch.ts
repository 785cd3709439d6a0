/**
 * The switch that freezes a cgroup: `cgroup.freeze` (v2) or `freezer.state` (v1). With cpu-quota.ts and own-cgroup.ts
 * the one door to cgroup writes. It writes what it is told; whose processes are inside, and whether that stands in the
 * journal (invariant 1), is the caller's affair.
 *
 * The descriptor stays open and belongs to that very cgroup: after its removal a write fails, also when another cgroup
 * has got the same path.
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HobblerError, messageOf } from '../../shared/errors.ts';

export type Written = 'done' | 'gone' | 'failed';

/** What of /proc's door is asked here: how many descriptors this process may keep. */
export interface KeptDescriptors {
  kept: number;
  readonly mayKeep: boolean;
}

const FILES = {
  1: { file: 'freezer.state', on: Buffer.from('FROZEN'), off: Buffer.from('THAWED') },
  2: { file: 'cgroup.freeze', on: Buffer.from('1'), off: Buffer.from('0') },
} as const;
const buffer = Buffer.allocUnsafe(256);

export class FreezerSwitch {
  /** The file that is written, for the journal. */
  readonly path: string;
  readonly #directory: string;
  readonly #version: 1 | 2;
  readonly #descriptors: KeptDescriptors;
  readonly #state: number;
  /** Says whether this cgroup itself is told to freeze, not one above: in v2 the switch itself does. */
  readonly #own: number;

  /** Throws unsupported where the cgroup has no such switch, or it may not be written. */
  constructor(directory: string, version: 1 | 2, descriptors: KeptDescriptors) {
    this.path = join(directory, FILES[version].file);
    this.#directory = directory;
    this.#version = version;
    this.#descriptors = descriptors;
    if (!descriptors.mayKeep) throw new HobblerError('unsupported', 'no more descriptors may be kept open');
    try {
      this.#state = openSync(this.path, 'r+');
    } catch (error) {
      throw new HobblerError('unsupported', `cannot be opened (${messageOf(error)})`, { where: this.path });
    }
    try {
      this.#own = version === 2 ? this.#state : openSync(join(directory, 'freezer.self_freezing'), 'r');
    } catch (error) {
      closeSync(this.#state);
      throw new HobblerError('unsupported', `cannot be opened (${messageOf(error)})`, { where: directory });
    }
    descriptors.kept += version === 2 ? 1 : 2;
  }

  /** Whether it is on, by whomever. */
  isOn(): boolean | 'gone' {
    try {
      return buffer.toString('latin1', 0, readSync(this.#own, buffer, 0, buffer.length, 0)).trim() === '1';
    } catch {
      return 'gone';
    }
  }

  freeze(): Written {
    return this.#write(FILES[this.#version].on);
  }

  thaw(): Written {
    return this.#write(FILES[this.#version].off);
  }

  /** Whether all that is inside stands still by now. */
  hasFrozen(): boolean {
    try {
      return this.#version === 2
        ? /^frozen 1$/m.test(readFileSync(join(this.#directory, 'cgroup.events'), 'latin1'))
        : buffer.toString('latin1', 0, readSync(this.#state, buffer, 0, buffer.length, 0)).startsWith('FROZEN');
    } catch {
      return true; // gone, with all that was inside
    }
  }

  #write(text: Buffer): Written {
    try {
      writeSync(this.#state, text, 0, text.length, 0);
      return 'done';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'ENODEV' || code === 'ENOENT' ? 'gone' : 'failed';
    }
  }

  close(): void {
    closeSync(this.#state);
    if (this.#own !== this.#state) closeSync(this.#own);
    this.#descriptors.kept -= this.#own === this.#state ? 1 : 2;
  }
}
