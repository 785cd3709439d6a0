/**
 * Where each act begins, and where it is seen what came of it. Pages take their links from here, so that an address is
 * written in one place only. Every one of them is a page that asks why before anything happens; none acts by being opened.
 */
import { FLEET } from '../../shared/order.ts';
import { link } from '../views/html.ts';

/** `host` `*` means everywhere. */
export const releaseLink = (host: string, target: string): string => link('/release', { host, target });
export const releaseHostLink = (host: string): string => link('/release-host', { host });
export const releaseFleetLink = (): string => '/release-fleet';

/** The form for a tarpit by hand, filled in as far as is known. */
export const tarpitLink = (known: { host?: string; target?: string; account?: string } = {}): string =>
  link('/tarpit', known);
export const extendLink = (host: string, target: string): string => link('/extend', { host, target });

/** Keeps an account out of the tarpit, whatever the policy says; and the way back. */
export const exemptLink = (account: string): string => link('/exempt', { account });
export const unexemptLink = (account: string): string => link('/unexempt', { account });

export const holdLink = (host: string = FLEET): string => link('/hold', host === FLEET ? {} : { host });
export const unholdLink = (host: string = FLEET): string => link('/unhold', host === FLEET ? {} : { host });
export const removeHostLink = (host: string): string => link('/remove-host', { host });

/** What came of an entry of the fleet's audit: of an order, a hold, a pin, an act of several orders. */
export const entryLink = (id: string): `/${string}` => `/audit/${id}`;
