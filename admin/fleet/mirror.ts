/**
 * One host as Redis holds it, kept from one reading to the next: a record whose text is the same as before is not parsed
 * again, since checking 10,000 reports takes 100 ms and nearly all of them have not changed. Knows no Redis; it is told
 * what stands there. What it gives out is never changed afterwards: a new reading makes new objects, so that who has the
 * same object as before knows that nothing changed.
 */
import type { DesiredRecord, DesiredState } from '../../shared/redis/desired.ts';
import { parseDesired } from '../../shared/redis/desired.ts';
import { type HostView, parseHold, parseReport, parseStatus } from '../../shared/redis/fleet.ts';
import { liveness, type Report } from '../../shared/report.ts';

/** A host's records, as Redis gives them. */
export interface RawHost {
  status: string | null;
  hold: string | null;
  observed: Record<string, string>;
  desired: Record<string, string>;
}

type Parsed<Value> = { text: string } & ({ value: Value } | { broken: string });

/** The fields of a hash, each parsed once for as long as its text stays. */
class ParsedHash<Value> {
  readonly #parse: (field: string, text: string) => { value: Value } | { broken: string };
  #fields = new Map<string, Parsed<Value>>();

  constructor(parse: (field: string, text: string) => { value: Value } | { broken: string }) {
    this.#parse = parse;
  }

  /** Takes the hash as it stands now. Returns whether anything changed. */
  take(hash: Record<string, string>): boolean {
    const next = new Map<string, Parsed<Value>>();
    let isChanged = false;
    for (const field in hash) {
      const text = hash[field]!;
      const before = this.#fields.get(field);
      if (before?.text === text) next.set(field, before);
      else {
        next.set(field, { text, ...this.#parse(field, text) });
        isChanged = true;
      }
    }
    isChanged ||= next.size !== this.#fields.size;
    if (isChanged) this.#fields = next;
    return isChanged;
  }

  *values(): Iterable<[string, Value]> {
    for (const [field, parsed] of this.#fields) if ('value' in parsed) yield [field, parsed.value];
  }

  broken(): { target: string; why: string }[] {
    const broken: { target: string; why: string }[] = [];
    for (const [target, parsed] of this.#fields) if ('broken' in parsed) broken.push({ target, why: parsed.broken });
    return broken;
  }
}

export class HostMirror {
  readonly host: string;
  readonly #observed = new ParsedHash<Report>((_, text) => {
    const parsed = parseReport(text);
    return 'broken' in parsed ? parsed : { value: parsed.report };
  });
  readonly #desired = new ParsedHash<DesiredRecord>((target, text) => {
    const parsed = parseDesired(target, text);
    return 'broken' in parsed ? parsed : { value: parsed.record };
  });
  #statusText: string | null = null;
  #holdText: string | null = null;
  #view: HostView;
  #orders: DesiredState = { records: new Map(), broken: [] };

  constructor(host: string) {
    this.host = host;
    this.#view = {
      ...{ host, liveness: 'lost', hold: null, reports: [], brokenReports: [] },
      ...parseStatus(null),
    };
  }

  /** Takes over what was just read. */
  take({ status, hold, observed, desired }: RawHost): void {
    const changes: Partial<HostView> = {};
    if (status !== this.#statusText) {
      this.#statusText = status;
      Object.assign(changes, parseStatus(status));
    }
    if (hold !== this.#holdText) {
      this.#holdText = hold;
      changes.hold = parseHold(hold);
    }
    if (this.#observed.take(observed)) {
      changes.reports = [...this.#observed.values()].map(([, report]) => report);
      changes.brokenReports = this.#observed.broken();
    }
    if (Object.keys(changes).length > 0) this.#view = { ...this.#view, ...changes };
    if (this.#desired.take(desired)) {
      this.#orders = { records: new Map(this.#desired.values()), broken: this.#desired.broken() };
    }
  }

  /** What the host says; the same object for as long as nothing of it changed. `nowMs` by Redis's clock. */
  viewAt(nowMs: number): HostView {
    const now = liveness(this.#view.status?.beatAtMs ?? null, nowMs);
    if (now !== this.#view.liveness) this.#view = { ...this.#view, liveness: now };
    return this.#view;
  }

  /** What it was asked; the same object for as long as nothing of it changed. */
  get orders(): DesiredState {
    return this.#orders;
  }
}
