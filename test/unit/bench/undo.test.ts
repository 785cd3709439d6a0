/** Undoing: in reverse, however the work ended, and one failure holds up no other. */
import { expect, it } from 'vitest';
import { Undo } from '../../../bench/undo.ts';

it('goes in reverse order, at the end of each scope', async () => {
  const done: string[] = [];
  const undo = new Undo();
  undo.add('outer', () => done.push('outer'));
  await undo.within(async () => {
    undo.add('first', () => done.push('first'));
    undo.add('second', async () => void done.push('second'));
  });
  expect(done).toEqual(['second', 'first']);
  await undo.all();
  expect(done).toEqual(['second', 'first', 'outer']);
});

it('happens when the work fails, and the failure is what the caller sees', async () => {
  const done: string[] = [];
  const undo = new Undo();
  const work = undo.within(async () => {
    undo.add('a', () => done.push('a'));
    throw new Error('the round failed');
  });
  await expect(work).rejects.toThrow('the round failed');
  expect(done).toEqual(['a']);
});

it('goes on past a step that fails, says which, and does nothing twice', async () => {
  const done: string[] = [];
  const said: string[] = [];
  const undo = new Undo((text) => said.push(text));
  undo.add('a', () => done.push('a'));
  undo.add('b', () => {
    throw new Error('busy');
  });
  await undo.all();
  await undo.all();
  expect(done).toEqual(['a']);
  expect(said).toEqual(['could not undo b: busy']);
});

it('of a scope and of all at once goes step by step, and neither is over before the other’s steps are', async () => {
  const done: string[] = [];
  const undo = new Undo();
  let letGo = () => {};
  const slow = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  undo.add('outer', () => done.push('outer'));
  const scope = undo.within(async () => undo.add('slow', () => slow.then(() => done.push('slow'))));
  const all = undo.all();
  letGo();
  await all;
  expect(done).toEqual(['slow', 'outer']);
  await scope;
});
