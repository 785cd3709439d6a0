/**
 * One POST to one endpoint: bounded in time, to addresses that may be reached, following no redirect, and of the answer
 * nothing but its status is looked at. Decides nothing about when or how often.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { HobblerError } from '../../shared/errors.ts';
import { HOBBLER_VERSION } from '../../shared/version.ts';
import { guardedLookup, requireReachable } from './address.ts';
import type { Endpoint } from './config.ts';
import { signatureHeaders } from './message.ts';

/** From the lookup of the name to the head of the answer. */
const TIMEOUT_MS = 10_000;

/** Sends; resolves for a status of 2xx. Rejects with what went wrong, without any secret. */
export async function post(
  { url: text, secrets, allowPrivate }: Pick<Endpoint, 'url' | 'secrets' | 'allowPrivate'>,
  id: string,
  body: string,
  nowMs: number,
): Promise<void> {
  const url = new URL(text);
  requireReachable(url, allowPrivate);
  const status = await new Promise<number>((resolve, reject) => {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const sending = request(url, {
      method: 'POST',
      // No agent: a kept connection would outlive the look at its address.
      agent: false,
      lookup: guardedLookup(allowPrivate),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...signatureHeaders(id, body, secrets, nowMs),
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': `hobbler/${HOBBLER_VERSION}`,
      },
    });
    sending.on('response', (response) => {
      resolve(response.statusCode ?? 0);
      // What else it says is of no interest, however long it is.
      response.destroy();
    });
    sending.on('error', reject);
    sending.end(body);
  });
  if (status < 200 || status > 299) {
    throw new HobblerError('denied', `the receiver answered ${status}`, {
      where: url.host,
      ...(status >= 300 && status < 400 ? { hint: 'redirects are not followed: set the URL it points to' } : {}),
    });
  }
}
