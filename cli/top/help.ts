/** The help page of `top`: its keys, and what the signs in the table mean. */
import { COLUMN_IDS, COLUMNS } from './columns.ts';

const sortKeys = COLUMN_IDS.map((id) => `${COLUMNS[id].key} ${COLUMNS[id].title.toLowerCase()}`);

export const HELP: readonly string[] = [
  'q, Ctrl-C      quit               Ctrl-Z  suspend (fg goes on)',
  'space          pause and go on    Ctrl-L  draw anew',
  '< >            sort by the column to the left, to the right',
  `               or: ${sortKeys.slice(0, 6).join(', ')},`,
  `               ${sortKeys.slice(6).join(', ')}`,
  'r              the other way round (so does the same column again)',
  '/              filter: every word must be found in host, target, state,',
  '               account, mechanism, by, or reason; escape clears it',
  'up down        scroll; page up, page down, home, end too',
  'left right     leave out columns, to see those at the right',
  '',
  'BEFORE GOT     share of a core before the hobble, and under it; ! no effect',
  'ASKED          share of time that the order leaves it',
  'COST           share of one core that the worker spends on it',
  'PERIOD         run and stop phase together; * longer than asked, to save cost',
  'STATE          spared: uses less than its share; armed: no process now;',
  '               held: let go by a hold; with ? its host is lost',
  '?  not known   -  there is none',
];

/** On the last line, however low the terminal is. */
export const HELP_END = 'Any key goes back.';
