/** Every parser of what comes from outside, for the fuzzer. */
import { CONTRACT_PARSERS } from './contract.ts';
import { HOST_PARSERS } from './host.ts';
import type { FuzzedParser } from './parser.ts';
import { SERVICE_PARSERS } from './services.ts';

export const PARSERS: readonly FuzzedParser[] = [...CONTRACT_PARSERS, ...HOST_PARSERS, ...SERVICE_PARSERS];
