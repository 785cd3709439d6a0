/**
 * What a webhook says, and how it is signed: as Standard Webhooks (standardwebhooks.com) has it, so that receivers find a
 * library for it in their language. Pure.
 */
import { createHmac } from 'node:crypto';
import type { Hobble } from '../../shared/order.ts';
import type { EventName } from './config.ts';

/** The version of the form below; a receiver may meet fields that it does not know. */
const MESSAGE_VERSION = 1;

/** Something that is to be told. */
export interface News {
  event: EventName;
  /** Null: it is about all of them. */
  account: string | null;
  /** What of the account: see CompleteReading. */
  subject: string | null;
  /** Why, in words for people. */
  reason: string;
  /** The duty cycle from now on; null: free. */
  level: Hobble | null;
  /** Milliseconds since 1970; null: no end is in sight, or there is nothing to end. */
  untilMs: number | null;
  atMs: number;
}

/** The body of a message. */
export function bodyOf(news: News): string {
  const { event, account, subject, reason, level, untilMs, atMs } = news;
  return JSON.stringify({
    v: MESSAGE_VERSION,
    type: event === 'brake' ? 'brake.held' : `account.${event}`,
    timestamp: new Date(atMs).toISOString(),
    data: {
      account,
      subject,
      reason,
      level,
      until: untilMs === null ? null : new Date(untilMs).toISOString(),
    },
  });
}

/**
 * The headers that prove who has sent a body, and when: HMAC-SHA256 over id, time and body. A receiver compares with the
 * secret it knows, and refuses what is older than some minutes. `atMs` is the time of this try, not of the news.
 */
export function signatureHeaders(
  id: string,
  body: string,
  secrets: readonly Buffer[],
  atMs: number,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(atMs / 1_000));
  const sign = (secret: Buffer) =>
    `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map(sign).join(' '),
  };
}
