/**
 * How a host's queue is called in bull-board, and the addresses of queues and jobs there. A queue's name must be unique
 * (every queue's own name is `orders`), reads as the host, and groups hosts of one kind: `web:web-1`, `web:web-2`. A host
 * name has no colon, so nothing is ambiguous, and no queue name can be the group of another, which bull-board's tree
 * would lose.
 */
import { link } from '../views/html.ts';

export const BOARD_PATH = '/queues';
export const GROUP_DELIMITER = ':';

export function queueName(host: string): string {
  return `${hostGroup(host)}${GROUP_DELIMITER}${host}`;
}

/** The host of a queue's name in bull-board. */
export function hostOfQueue(name: string): string {
  return name.slice(name.indexOf(GROUP_DELIMITER) + 1);
}

/** What hosts of one kind share: the first label without the number at its end; the label where that leaves nothing. */
export function hostGroup(host: string): string {
  const label = host.split('.')[0]!;
  return label.replace(/[-_]?\d+$/, '') || label;
}

/** The page of a host's queue. */
export function queueLink(host: string): string {
  return `${BOARD_PATH}/queue/${encodeURIComponent(queueName(host))}`;
}

/** The page of one job. */
export function jobLink(host: string, jobId: string): string {
  return `${queueLink(host)}/${encodeURIComponent(jobId)}`;
}

/** Leads to the job that carried an order to a host, or to the host's queue where that job is kept no more. */
export function orderJobLink({ host, target, version }: { host: string; target: string; version: number }): string {
  return link(`${BOARD_PATH}/find`, { host, target, version: String(version) });
}
