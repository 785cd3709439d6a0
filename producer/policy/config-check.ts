/**
 * What one setting of the policy says of another, checked: names that must exist, figures that must be in order. Runs
 * over what has been parsed even where other settings are at fault, so it takes nothing for granted about the value.
 */
import type { z } from 'zod';
import { runRatio } from '../../shared/order.ts';
import { accountName } from '../labels.ts';
import { Membership } from './membership.ts';
import { isMapping } from './pick-schema.ts';

/** The name of the ladder that a limit takes which names none. */
export const STANDARD_LADDER = 'standard';
/** In place of a limit: the group or account has none of that name. */
export const NO_LIMIT = 'none';
export const DEFAULT_ENTER_RATIO = 1;
export const DEFAULT_LEAVE_RATIO = 0.9;

/** Of limits, ladders and groups. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
export const NAME_FORM = 'expected a name of letters, digits, - and _, at most 32';

type Mapping = Record<string, unknown>;
type Fault = (path: PropertyKey[], message: string) => void;

/** For superRefine. */
export function checkReferences(value: unknown, context: z.core.$RefinementCtx): void {
  const config = mapping(value);
  const fault: Fault = (path, message) => context.addIssue({ code: 'custom', path, message });
  checkNames(config, fault);
  checkLadders(config, fault);
  checkLimits(config, fault);
  checkExemptions(config, fault);
  if (isNumber(config.forgetAfter) && isNumber(config.dwell) && config.forgetAfter < config.dwell)
    fault(['forgetAfter'], 'expected no less than dwell');
}

function checkNames(config: Mapping, fault: Fault): void {
  for (const section of ['limits', 'ladders', 'groups'] as const) {
    for (const name of Object.keys(mapping(config[section]))) if (!NAME.test(name)) fault([section, name], NAME_FORM);
  }
  for (const section of ['groups', 'accounts'] as const) {
    for (const [scope, settings] of Object.entries(mapping(config[section]))) {
      for (const name of Object.keys(mapping(mapping(settings).limits)))
        if (!NAME.test(name)) fault([section, scope, 'limits', name], NAME_FORM);
    }
  }
  for (const name of Object.keys(mapping(config.accounts))) {
    if (!accountName.safeParse(name).success)
      fault(['accounts', name], 'expected a name of 1 to 256 characters, none of them control characters');
  }
}

function checkLadders({ ladders, dwell }: Mapping, fault: Fault): void {
  for (const [name, ladder] of Object.entries(mapping(ladders))) {
    let lastRatio = Number.POSITIVE_INFINITY;
    list(mapping(ladder).levels).forEach((raw, index) => {
      const { runMs, stopMs, for: forMs } = mapping(raw);
      const path = ['ladders', name, 'levels', index];
      if (isNumber(forMs) && isNumber(dwell) && forMs < dwell) fault([...path, 'for'], 'expected no less than dwell');
      if (!isNumber(runMs) || !isNumber(stopMs)) return;
      const ratio = runRatio({ runMs, stopMs });
      if (ratio > lastRatio) fault([...path, 'runMs'], 'expected a level no milder than the one before');
      lastRatio = ratio;
    });
  }
}

function checkLimits(config: Mapping, fault: Fault): void {
  const common = mapping(config.limits);
  const groups = mapping(config.groups);
  for (const [name, limit] of Object.entries(common))
    checkLimit(config, ['limits', name], mapping(limit), mapping(limit), fault);
  for (const [group, settings] of Object.entries(groups)) {
    checkOverrides(config, ['groups', group], [common], mapping(mapping(settings).limits), fault);
  }
  const membership = new Membership(Object.entries(groups).map(([name, group]) => [name, membersOf(group)]));
  for (const [account, settings] of Object.entries(mapping(config.accounts))) {
    const ofGroups = membership.groupsOf(account).map((name) => mapping(mapping(groups[name]).limits));
    checkOverrides(config, ['accounts', account], [common, ...ofGroups], mapping(mapping(settings).limits), fault);
  }
}

function checkOverrides(config: Mapping, scope: string[], below: Mapping[], limits: Mapping, fault: Fault): void {
  for (const [name, own] of Object.entries(limits)) {
    const path = [...scope, 'limits', name];
    const known = below.map((limits) => (Object.hasOwn(limits, name) ? limits[name] : undefined));
    if (own === NO_LIMIT) {
      if (known.every((limit) => limit === undefined)) fault(path, 'there is no limit of that name to leave out');
      continue;
    }
    const merged = [...known, own].reduce<Mapping>(laterOver, {});
    if (merged.used === undefined)
      fault([...path, 'used'], 'expected how much may be used, as limits has none of that name');
    checkLimit(config, path, merged, mapping(own), fault);
  }
}

/** `own` is what stands at the path; `limit` is that with all that it builds upon. */
function checkLimit({ ladders }: Mapping, path: string[], limit: Mapping, own: Mapping, fault: Fault): void {
  const { ladder, enterRatio = DEFAULT_ENTER_RATIO, leaveRatio = DEFAULT_LEAVE_RATIO } = limit;
  if (own.ladder !== undefined && typeof ladder === 'string' && ladder !== STANDARD_LADDER) {
    if (!Object.hasOwn(mapping(ladders), ladder)) fault([...path, 'ladder'], 'there is no ladder of that name');
  }
  if (isNumber(enterRatio) && isNumber(leaveRatio) && leaveRatio >= enterRatio) {
    const setting = own.leaveRatio === undefined && own.enterRatio !== undefined ? 'enterRatio' : 'leaveRatio';
    fault([...path, setting], `expected leaveRatio (${leaveRatio}) below enterRatio (${enterRatio})`);
  }
}

function checkExemptions({ exempt, groups }: Mapping, fault: Fault): void {
  list(exempt).forEach((raw, index) => {
    const { group } = mapping(raw);
    if (typeof group === 'string' && !Object.hasOwn(mapping(groups), group))
      fault(['exempt', index, 'group'], 'there is no group of that name');
  });
}

function membersOf(group: unknown): string[] {
  return list(mapping(group).members).filter((member) => typeof member === 'string');
}

function mapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

/** What a limit comes to when one scope's settings are laid over those before it. */
export function laterOver(before: Mapping, settings: unknown): Mapping {
  return settings === NO_LIMIT ? {} : { ...before, ...withoutGaps(settings) };
}

function withoutGaps(settings: unknown): Mapping {
  return Object.fromEntries(Object.entries(mapping(settings)).filter(([, value]) => value !== undefined));
}
