/** How accounts, units and resources are written: the texts that config, readings and ledger share. Owns their bounds. */
import { z } from 'zod';

const label = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .regex(/^\P{Cc}*$/u, 'expected no control characters');

export const accountName = label(256).min(1);
/** What a figure is counted in, such as `s` or `GB`; empty when nobody says. */
export const unitLabel = label(16);
/** What is used up, such as `cpu`; empty when nobody says. */
export const resourceLabel = label(32);
