/**
 * Why an account is where it is, and when it gets out, in words for its owner as much as for the operator: orders, the
 * fleet page, GET /v1/accounts and `hobbler policy explain` show them as they are. Pure; made from what is remembered,
 * so it can be said at any time, without the readings. Decides nothing.
 */
import type { Hobble } from '../../shared/order.ts';
import type { Case } from './advance.ts';
import { freeAtMs } from './free-at.ts';
import { obstacleOf } from './ladder.ts';
import { describeLimit, type Moment, momentsOf, releaseReason, stayReason } from './limit-words.ts';
import { circumstancesOf, type Look, lookAt, wakeAtMs } from './look.ts';
import { type Override, overrideAt } from './override.ts';
import type { AccountRules } from './rules.ts';
import type { LedgerState, Released, Standing } from './state.ts';

export interface Explanation {
  isSlowed: boolean;
  /** One or two sentences. */
  summary: string;
  /** A line for what beats the policy, and one a limit. */
  details: string[];
  /** Why, short enough for an order: at most MAX_REASON_CHARS, without control characters. */
  reason: string;
  /** When it is free if nothing more is used, milliseconds since 1970; null: it is free, or no end is in sight. */
  freeAtMs: number | null;
}

/** As an order takes it. */
const MAX_REASON_CHARS = 500;

export type ToExplain = Omit<Case, 'prior' | 'readings'> & { state: LedgerState };

export function explain(it: ToExplain): Explanation {
  const { state, rules, pin, nowMs, mayEnter = true } = it;
  const { account, standing } = state;
  const moment = momentsOf(nowMs, rules.zone);
  const override = overrideAt(rules.exemptions, pin, nowMs);
  const circumstances = circumstancesOf(standing, rules, override, nowMs, mayEnter);
  const looks = lookAt(state, rules, circumstances);
  const reason = clean(
    standing.hobble ? whyIn(looks, state, rules, override, moment) : whyOut(looks, override, moment),
  );
  const freeMs = freeAtMs(it, state, wakeAtMs(looks, standing, override, circumstances));
  const details = looks.map((look) => {
    const obstacle = look.use ? obstacleOf(look.limit, look.state, look.use, circumstances) : null;
    return clean(describeLimit(look, obstacle, nowMs, moment));
  });
  if (override) details.unshift(clean(overrideWords(override, moment)));
  if (!mayEnter) details.unshift('the brake holds: nobody is put in until an operator lets go of it');
  return {
    isSlowed: standing.hobble !== null,
    summary: clean(summarize(account, standing, reason, freeMs, moment)),
    details,
    reason,
    freeAtMs: freeMs,
  };
}

function summarize(account: string, standing: Standing, reason: string, freeMs: number | null, moment: Moment): string {
  const { hobble, sinceMs } = standing;
  const since = sinceMs === null ? '' : ` since ${moment(sinceMs)}`;
  if (!hobble) return `${account} is not slowed down${reason === '' ? '' : `${since}: ${reason}`}.`;
  const end = freeMs === null ? '' : ` It gets out at ${moment(freeMs)} if it uses no more.`;
  return `${account} is slowed down to ${share(hobble)}${since}: ${reason}.${end}`;
}

function share({ runMs, stopMs }: Hobble): string {
  return `${runMs} ms of every ${runMs + stopMs} ms`;
}

function whyIn(
  looks: readonly Look[],
  { standing }: LedgerState,
  { dwellMs }: AccountRules,
  override: Override | null,
  moment: Moment,
): string {
  if (standing.isPinned && override?.kind === 'keep') return overrideWords(override, moment);
  const look = looks.find(({ limit, claim }) => claim && limit.name === standing.limit);
  if (look) return stayReason(look, moment);
  const why = whyReleased(looks, moment) ?? 'what kept it in is over';
  return `${why}; let go at ${moment((standing.sinceMs ?? 0) + dwellMs)}, after the shortest stay`;
}

function whyOut(looks: readonly Look[], override: Override | null, moment: Moment): string {
  if (override) return overrideWords(override, moment);
  return whyReleased(looks, moment) ?? '';
}

/** Why the limit that let go last has let go. */
function whyReleased(looks: readonly Look[], moment: Moment): string | null {
  let last: { look: Look; released: Released } | null = null;
  for (const look of looks) {
    const { released, penalty } = look.state;
    if (released && !penalty && released.atMs > (last?.released.atMs ?? -1)) last = { look, released };
  }
  return last && releaseReason(last.look, last.released, moment);
}

function overrideWords(override: Override, moment: Moment): string {
  const { by, why, untilMs } = override.kind === 'exempt' ? override.exemption : override.pin;
  const exempt = by === 'config' ? 'exempt' : `exempt by ${by}`;
  const what = { exempt, release: `released by ${by}`, keep: `kept in by ${by}` }[override.kind];
  const until = untilMs === null ? '' : ` until ${moment(untilMs)}`;
  return `${what}${until}${why === '' ? '' : `: ${why}`}`;
}

function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, MAX_REASON_CHARS);
}
