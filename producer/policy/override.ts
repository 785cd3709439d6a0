/**
 * What beats the policy: exemptions of the config, and pins of operators. Pure. Owns which of them holds at a moment.
 * An exemption is never to be hobbled, so it beats a pin as well; a pin says who set it and why, and ends by itself or
 * by another pin.
 */
import { type Pin, pinStands } from '../../shared/redis/pins.ts';
import type { Exemption } from './config.ts';

export type Override = { kind: 'exempt'; exemption: Exemption } | { kind: 'release' | 'keep'; pin: Pin };

/** What beats the policy now; null: nothing does. */
export function overrideAt(exemptions: readonly Exemption[], pin: Pin | null, nowMs: number): Override | null {
  const exemption = longest(exemptions.filter(({ untilMs }) => untilMs === null || untilMs > nowMs));
  if (exemption) return { kind: 'exempt', exemption };
  if (!pin || !pinStands(pin, nowMs)) return null;
  return { kind: pin.kind, pin };
}

function longest(exemptions: readonly Exemption[]): Exemption | undefined {
  const end = ({ untilMs }: Exemption) => untilMs ?? Number.POSITIVE_INFINITY;
  return exemptions.reduce<Exemption | undefined>(
    (best, one) => (best && end(best) >= end(one) ? best : one),
    undefined,
  );
}

/** When it ends by itself; null: it does not. */
export function endOf(override: Override): number | null {
  return override.kind === 'exempt' ? override.exemption.untilMs : override.pin.untilMs;
}
