/**
 * Cuts a stream of bytes or text into lines of bounded length, for whoever reads JSON lines. Knows nothing of what they
 * say. Memory stays bounded whatever comes: a line without end is not kept.
 */
import { StringDecoder } from 'node:string_decoder';

/** Lines without their ends. Of a line past the bound so much is kept, a bit more than `maxChars`, that it shows. */
export async function* boundedLines(source: AsyncIterable<Buffer | string>, maxChars: number): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of source) {
    const pieces = (typeof chunk === 'string' ? chunk : decoder.write(chunk)).split('\n');
    for (const piece of pieces.slice(0, -1)) {
      yield rest + piece;
      rest = '';
    }
    if (rest.length <= maxChars) rest += pieces.at(-1);
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}
