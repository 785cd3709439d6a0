/** What a user of the admin is called and may do, whoever says that he is one. */
import { z } from 'zod';

export const userRoles = ['viewer', 'operator'] as const;
/** A viewer sees everything and changes nothing; an operator may also act. */
export type UserRole = (typeof userRoles)[number];

/** It stands in orders as `operator:NAME`, in logs and on pages. */
export const userName = z.string().regex(/^[A-Za-z0-9_.@-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ . @ -');
