/** The written form of targets: what is taken, what is refused, and that one target has one name. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HobblerError } from '../../../shared/errors.ts';
import { formatTarget, MAX_TARGET_CHARS, parseTarget, type Target } from '../../../shared/target.ts';
import { anyTarget } from '../../support/orders.ts';

describe('a written target', () => {
  it.each<[string, Target]>([
    ['user:alice', { kind: 'user', name: 'alice' }],
    ['user:CORP\\alice', { kind: 'user', name: 'CORP\\alice' }],
    ['user:build-01$', { kind: 'user', name: 'build-01$' }],
    ['uid:0', { kind: 'uid', uid: 0 }],
    ['uid:4294967294', { kind: 'uid', uid: 4_294_967_294 }],
    ['pid:4242@123456', { kind: 'pid', pid: 4242, startTicks: 123_456 }],
    ['pid:4194304@0', { kind: 'pid', pid: 4_194_304, startTicks: 0 }],
    ['cgroup:/user.slice/user-1001.slice', { kind: 'cgroup', path: '/user.slice/user-1001.slice' }],
    ['cgroup:/a b/ü:@', { kind: 'cgroup', path: '/a b/ü:@' }],
  ])('%j is taken', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
    expect(formatTarget(target)).toBe(text);
  });

  it.each<[string, string, RegExp]>([
    ['nothing', '', /not a target; expected user:NAME, uid:NUMBER/],
    ['no kind', 'alice', /not a target/],
    ['an unknown kind', 'group:staff', /unknown kind of target/],
    ['a kind in capitals', 'User:alice', /unknown kind of target/],
    ['an empty user', 'user:', /not a user name/],
    ['a user with a newline at its end', 'user:alice\n', /not a user name; expected user:NAME; got "user:alice\\n"/],
    ['a user that looks like an option', 'user:-rf', /not a user name/],
    ['a user with a slash', 'user:../etc', /not a user name/],
    ['a uid below zero', 'uid:-1', /not a uid/],
    ['the uid that means nobody to the kernel', 'uid:4294967295', /not a uid; expected uid:NUMBER, 0 to 4294967294/],
    ['a second writing of a uid', 'uid:007', /not a uid/],
    ['a uid in hexadecimal', 'uid:0x10', /not a uid/],
    ['a pid without its start time', 'pid:4242', /not a pid with its start time; .*field 22 of \/proc\/PID\/stat/],
    ['pid 0, which means a process group to kill()', 'pid:0@1', /not a pid/],
    ['a pid below zero', 'pid:-1@1', /not a pid/],
    ['a pid past the kernel’s bound', 'pid:4194305@1', /not a pid/],
    ['a pid with two start times', 'pid:1@2@3', /not a pid/],
    ['a start time that is not exact as a number', 'pid:1@9007199254740993', /not a pid/],
    ['a relative cgroup', 'cgroup:user.slice', /not a cgroup path/],
    ['the root cgroup', 'cgroup:/', /not a cgroup path/],
    ['a cgroup that climbs', 'cgroup:/a/../../b', /not a cgroup path/],
    ['a cgroup with an empty part', 'cgroup:/a//b', /not a cgroup path/],
    ['a cgroup that forges a journal line', 'cgroup:/a\nb', /not a cgroup path/],
    ['a cgroup without a UTF-8 form', 'cgroup:/a\ud800', /not a cgroup path/],
    ['one that is too long', `cgroup:/${'a'.repeat(MAX_TARGET_CHARS)}`, /at most 1024 characters; got .{1,100}$/],
  ])('that is %s is refused', (_, text, message) => {
    expect(() => parseTarget(text)).toThrow(HobblerError);
    expect(() => parseTarget(text, 'order.target')).toThrow(message);
    expect(() => parseTarget(text, 'order.target')).toThrow(/^order\.target: /);
  });

  it('gives the same target again once written down', () => {
    fc.assert(
      fc.property(anyTarget, (target) => {
        expect(parseTarget(formatTarget(target))).toEqual(target);
      }),
    );
  });

  it('has one form: whatever is taken is written as it came', () => {
    const nearly = fc.tuple(fc.constantFrom('user:', 'uid:', 'pid:', 'cgroup:/', ''), fc.string(), fc.string());
    fc.assert(
      fc.property(nearly, ([kind, first, second]) => {
        for (const text of [kind + first, `${kind}${first}@${second}`]) {
          const target = parsedOrUndefined(text);
          if (target !== undefined) expect(formatTarget(target)).toBe(text);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

/** The target, or undefined when refused; any other error than a refusal fails the test. */
function parsedOrUndefined(text: string): Target | undefined {
  try {
    return parseTarget(text);
  } catch (error) {
    expect(error).toBeInstanceOf(HobblerError);
    return undefined;
  }
}
