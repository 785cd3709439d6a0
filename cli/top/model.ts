/**
 * What `top` shows and how keys change it: sorting, filter, scrolling, pause, help. A pure state machine; it knows no
 * terminal and no Redis.
 *
 *   table ──/──► typing a filter ──enter, escape──► table
 *   table ──h──► help ──any key──► table
 */
import { COLUMN_IDS, COLUMNS, type ColumnId } from './columns.ts';
import type { Key } from './keys.ts';
import { SKIPPABLE } from './layout.ts';

export interface TopState {
  sort: ColumnId;
  isReversed: boolean;
  filter: string;
  isTyping: boolean;
  /** The first row shown. */
  first: number;
  /** Columns left out after the target. */
  skip: number;
  isPaused: boolean;
  isHelp: boolean;
}

/** What the terminal shows now, by which scrolling is bounded. */
export interface Bounds {
  /** Rows that the filter leaves. */
  rows: number;
  /** Rows that fit. */
  page: number;
  showsHost: boolean;
}

/** What the driver has to do besides drawing. */
export type Act = 'quit' | 'suspend' | 'redraw' | undefined;

export const FIRST_STATE: TopState = {
  sort: 'got',
  isReversed: false,
  filter: '',
  isTyping: false,
  first: 0,
  skip: 0,
  isPaused: false,
  isHelp: false,
};

const MAX_FILTER_CHARS = 100;
const SORT_KEYS = new Map(COLUMN_IDS.map((id) => [COLUMNS[id].key, id] as const));

/** What a key does. */
export function press(state: TopState, key: Key, bounds: Bounds): { state: TopState; act?: Act } {
  if (key === 'ctrl-c' || key === 'ctrl-backslash') return { state, act: 'quit' };
  if (key === 'ctrl-z') return { state, act: 'suspend' };
  if (key === 'ctrl-l') return { state, act: 'redraw' };
  if (state.isHelp) return key === 'q' ? { state, act: 'quit' } : { state: { ...state, isHelp: false } };
  const scrolled = scroll(state, key, bounds);
  if (scrolled) return { state: scrolled };
  if (state.isTyping) return { state: typeFilter(state, key) };
  if (key === 'q') return { state, act: 'quit' };
  return { state: command(state, key, bounds) };
}

/** The first row that may be shown, so that a page is full where there are rows enough. */
export function clampFirst(first: number, { rows, page }: Pick<Bounds, 'rows' | 'page'>): number {
  return Math.max(0, Math.min(first, rows - page));
}

function scroll(state: TopState, key: Key, bounds: Bounds): TopState | undefined {
  const to = (first: number) => ({ ...state, first: clampFirst(first, bounds) });
  const page = Math.max(1, bounds.page);
  switch (key) {
    case 'up':
      return to(state.first - 1);
    case 'down':
      return to(state.first + 1);
    case 'page-up':
      return to(state.first - page);
    case 'page-down':
      return to(state.first + page);
    case 'home':
      return to(0);
    case 'end':
      return to(bounds.rows);
    case 'left':
      return { ...state, skip: Math.max(0, state.skip - 1) };
    case 'right':
      return { ...state, skip: Math.min(SKIPPABLE.length - 1, state.skip + 1) };
    default:
      return undefined;
  }
}

function typeFilter(state: TopState, key: Key): TopState {
  const to = (filter: string) => ({ ...state, filter, first: 0 });
  switch (key) {
    case 'enter':
      return { ...state, isTyping: false };
    case 'escape':
      return { ...to(''), isTyping: false };
    case 'backspace':
      return to([...state.filter].slice(0, -1).join(''));
    case 'ctrl-u':
      return to('');
    default:
      return [...key].length === 1 && state.filter.length < MAX_FILTER_CHARS ? to(state.filter + key) : state;
  }
}

function command(state: TopState, key: Key, { showsHost }: Bounds): TopState {
  const column = SORT_KEYS.get(key);
  if (column !== undefined) return column === 'host' && !showsHost ? state : sortBy(state, column);
  switch (key) {
    case '<':
    case '>': {
      const columns = COLUMN_IDS.filter((id) => showsHost || id !== 'host');
      const next = columns[columns.indexOf(state.sort) + (key === '<' ? -1 : 1)];
      return next === undefined ? state : sortBy(state, next);
    }
    case 'r':
    case 'R':
      return { ...state, isReversed: !state.isReversed, first: 0 };
    case '/':
      return { ...state, isTyping: true };
    case 'escape':
      return { ...state, filter: '', first: 0 };
    case ' ':
      return { ...state, isPaused: !state.isPaused };
    case 'h':
    case '?':
      return { ...state, isHelp: true };
    default:
      return state;
  }
}

/** By that column from now on; by the same one again, the other way round. */
function sortBy(state: TopState, sort: ColumnId): TopState {
  return { ...state, sort, isReversed: state.sort === sort ? !state.isReversed : false, first: 0 };
}
