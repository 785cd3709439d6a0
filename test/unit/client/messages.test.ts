/** What the client's types say is what the producer's schemas and answers say. The compiler proves it; `tsc` is the test. */
import { expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import { MAX_LINE_CHARS } from '../../../client/batches.ts';
import type { AccountAnswer, DirectOrder, Reading } from '../../../client/messages.ts';
import type { AccountPage } from '../../../producer/account-page.ts';
import type { directOrderSchema } from '../../../producer/direct-orders.ts';
import { MAX_READING_CHARS, type readingSchema } from '../../../producer/reading.ts';

test('a reading of the client is one of the producer, field by field', () => {
  expectTypeOf<Reading>().toEqualTypeOf<z.input<typeof readingSchema>>();
});

test('so is an order, and the answer on an account', () => {
  expectTypeOf<DirectOrder>().toEqualTypeOf<z.input<typeof directOrderSchema>>();
  expectTypeOf<AccountAnswer>().toEqualTypeOf<AccountPage>();
});

test('both bound a line alike', () => expect(MAX_LINE_CHARS).toBe(MAX_READING_CHARS));
