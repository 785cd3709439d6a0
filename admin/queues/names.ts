/**
 * How a host's queue is called in bull-board. Its name must be unique (every queue's own name is `orders`), reads as
 * the host, and groups hosts of one kind: `web:web-1`, `web:web-2`. A host name has no colon, so nothing is ambiguous,
 * and no queue name can be the group of another, which bull-board's tree would lose.
 */
export const GROUP_DELIMITER = ':';

export function queueName(host: string): string {
  return `${hostGroup(host)}${GROUP_DELIMITER}${host}`;
}

/** What hosts of one kind share: the first label without the number at its end; the label where that leaves nothing. */
export function hostGroup(host: string): string {
  const label = host.split('.')[0]!;
  return label.replace(/[-_]?\d+$/, '') || label;
}
