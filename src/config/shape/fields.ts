import { isIP } from 'node:net';
import { z } from 'zod';
import { DURATION, durationMs, isInRange } from '../../core/clock.ts';
import { OPERATORS } from '../../core/label-selector.ts';
import { isTargetKey } from '../../core/mapping.ts';
import { DNS_LABEL, DNS_SUBDOMAIN, isLabelKey, isLabelValue } from '../../core/target.ts';
import { isValidPath, PATH_RULE } from '../../providers/credentials.ts';
import { matchesPattern } from '../../sync/find.ts';
import { isSmallPattern, MAX_STEPS } from '../../sync/pattern.ts';
import { quoted } from '../problem.ts';

// The `error` of a schema names the expected value. `messages.ts` adds the rest of the sentence.

/**
 * Returns a schema that converts a duration such as `30s`, `1h30m` or `90d` to milliseconds. The duration must be more
 * than zero and at most ten years.
 */
export function duration() {
  return durationFrom(1, 'a duration of more than zero and at most 3650d');
}

/** Returns a schema for a duration that may also be `0s`. */
export function durationOrZero() {
  return durationFrom(0, 'a duration of at most 3650d');
}

function durationFrom(minMs: 0 | 1, range: string) {
  const error = 'a duration such as 30s, 5m, 1h30m or 90d';
  return z
    .string({ error })
    .regex(DURATION, { error, abort: true })
    .refine((text) => isInRange(durationMs(text), minMs), { error: range })
    .transform(durationMs);
}

const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2 } as const;

/** Returns a schema that converts a size such as `64KiB` or `1MiB` to bytes. */
export function byteSize(maxBytes: number) {
  const error = `a size such as 64KiB or 1MiB, more than zero and at most ${maxBytes / SIZE_UNITS.MiB}MiB`;
  const pattern = /^(\d{1,9})(B|KiB|MiB)$/;
  const toBytes = (text: string): number => {
    const [, count, unit] = pattern.exec(text) ?? [];
    return Number(count) * SIZE_UNITS[unit as keyof typeof SIZE_UNITS];
  };
  return z
    .string({ error })
    .regex(pattern, { error, abort: true })
    .refine((text) => toBytes(text) > 0 && toBytes(text) <= maxBytes, { error })
    .transform(toBytes);
}

export function wholeNumber(min: number, max: number, error = `a whole number from ${min} to ${max}`) {
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** Returns a schema for a positive number. */
export function rate(max: number) {
  const error = `a number greater than 0 and at most ${max}`;
  return z.number({ error }).positive({ error }).max(max, { error });
}

/** Returns a schema for a fraction from 0 to 1. */
export function share() {
  const error = 'a number from 0 to 1';
  return z.number({ error }).min(0, { error }).max(1, { error });
}

/** The name of an instance, a store or a mapping. Names are also used as label values. */
export const Name = z
  .string()
  .check(nameCheck(/^[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?$/, 'a-z, 0-9, `-` and `.`', /[^-a-z0-9.]/u, 63))
  .meta({ pattern: '^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$' });

export const Namespace = z
  .string()
  .check(nameCheck(DNS_LABEL, 'a-z, 0-9 and `-`', /[^-a-z0-9]/u, 63))
  .meta({ pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' });

export const SecretName = z
  .string()
  .check(nameCheck(DNS_SUBDOMAIN, 'a-z, 0-9, `-` and single `.`', /[^-a-z0-9.]/u, 253));

/** A key of a Secret. */
export const TargetKey = z
  .string()
  .check((ctx) => {
    if (isTargetKey(ctx.value)) return;
    const hint = invalidCharacterHint(ctx.value, /[^-._a-zA-Z0-9]/u);
    ctx.issues.push({
      code: 'custom',
      input: ctx.value,
      message: `a key of \`[-._a-zA-Z0-9]\`, 1 to 253 characters, not \`.\` and not starting with \`..\`${hint}`,
      params: { code: 'KEY_INVALID', suggested: plainKey(ctx.value) },
    });
  })
  // The rule above without look-ahead, which Helm does not support.
  .meta({
    pattern: String.raw`^([-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}|\.[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,251})$`,
  });

function plainKey(key: string): string | undefined {
  const plain = key.trim().replace(/[^-._a-zA-Z0-9]+/g, '_');
  return /[a-zA-Z0-9]/.test(plain) && isTargetKey(plain) ? plain : undefined;
}

/** A label key in a selector may have any prefix. */
const AnyLabelKey = z.string().refine(isLabelKey, {
  error:
    'a name like `team` or `example.com/team`: letters, digits, `-`, `_` and `.`, at most 63 characters, after an optional DNS prefix and `/`',
});

/** A key of a label or annotation. */
export const LabelKey = AnyLabelKey.refine(
  (key) => !/^([^/]*\.)?secretbridge\.dev\//.test(key) && key !== 'app.kubernetes.io/managed-by',
  {
    error:
      'a name other than `app.kubernetes.io/managed-by` and `secretbridge.dev/…`, which mark our own Secrets',
  },
);

export const LabelValue = z.string().refine(isLabelValue, {
  error: 'empty text, or at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends',
});

const LabelRequirement = z
  .strictObject({
    key: AnyLabelKey.meta({ description: 'Key of the label.', examples: ['tier'] }),
    operator: z.enum(OPERATORS).meta({
      description:
        '`In`: the label has one of the values. `NotIn`: the label has none of them, or is missing. `Exists`: the label is there. `DoesNotExist`: the label is missing.',
    }),
    values: z.array(LabelValue).default([]).meta({ description: 'Values for `In` and `NotIn`.' }),
  })
  .refine(({ operator, values }) => values.length > 0 === (operator === 'In' || operator === 'NotIn'), {
    error: 'at least one value for `In` and `NotIn`, and no `values` for `Exists` and `DoesNotExist`',
    path: ['values'],
  });

export const LabelSelector = z
  .strictObject({
    matchLabels: z
      .record(AnyLabelKey, LabelValue)
      .refine((labels) => Object.keys(labels).length > 0, { error: 'at least one label' })
      .optional()
      .meta({ description: 'Labels that must all match.' }),
    matchExpressions: z
      .array(LabelRequirement)
      .min(1, { error: 'at least one expression' })
      .optional()
      .meta({ description: 'Requirements that must all be met.' }),
  })
  .refine(({ matchLabels, matchExpressions }) => (matchLabels ?? matchExpressions) !== undefined, {
    error: '`matchLabels`, `matchExpressions` or both',
  })
  .meta({ id: 'LabelSelector', title: 'Label selector', description: 'A label selector.' });

/** Globs for the whole name; see `access.ts`. */
export const Globs = z.array(z.string().min(1)).min(1);

/** Returns a schema for a path on this machine. A relative path is relative to the file that contains it. */
export function localPath() {
  return z.string().min(1).refine(isValidPath, { error: PATH_RULE });
}

/** Returns a schema for an http or https URL without credentials. */
export function address() {
  return z
    .url({ protocol: /^https?$/, error: 'an address such as https://host:port' })
    .refine((text) => !URL.parse(text)?.username && !URL.parse(text)?.password, {
      error: 'an address without user and password',
    });
}

const HOST_AND_PORT = { error: 'host:port, such as 127.0.0.1:8080' };

/** An IP address, or a network such as `10.0.0.0/8`. A network of all addresses is no limit, so it is refused. */
export const AddressRange = z
  .string()
  .refine(isAddressRange, { error: 'an IP address, or a network such as 10.0.0.0/8' });

function isAddressRange(text: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  return (
    version !== 0 && (bits === undefined || (Number(bits) > 0 && Number(bits) <= (version === 4 ? 32 : 128)))
  );
}

export const HostAndPort = z.string(HOST_AND_PORT).refine(isHostAndPort, HOST_AND_PORT);

function isHostAndPort(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[-A-Za-z0-9.]+):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[1]) <= 65_535;
}

function nameCheck(pattern: RegExp, allowed: string, notAllowed: RegExp, max: number) {
  return (ctx: z.core.ParsePayload<string>) => {
    if (pattern.test(ctx.value)) return;
    const hint = invalidCharacterHint(ctx.value, notAllowed);
    ctx.issues.push({
      code: 'custom',
      input: ctx.value,
      message: `a name of ${allowed}, 1 to ${max} characters, with a letter or digit at both ends${hint}`,
      params: { suggested: plainName(ctx.value, pattern) },
    });
  };
}

/** Suggests a valid name, with common separators replaced. */
function plainName(name: string, pattern: RegExp): string | undefined {
  const plain = name
    .toLowerCase()
    .replace(/[\s_./:]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return pattern.test(plain) ? plain : undefined;
}

/**
 * Names the first invalid character. Some characters are invisible, and others look alike, such as `а` (Cyrillic) and
 * `a`.
 */
function invalidCharacterHint(text: string, notAllowed: RegExp): string {
  const char = notAllowed.exec(text)?.[0];
  if (char === undefined) return '';
  const point = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  const script = ['Cyrillic', 'Greek', 'Latin', 'Armenian', 'Cherokee'].find((name) =>
    new RegExp(`^\\p{Script=${name}}$`, 'u').test(char),
  );
  const what = char < '\u007f' || script === undefined ? point : `${point}, ${script}`;
  return `; ${/[\p{C}\p{Z}]/u.test(char) ? 'the character' : quoted(char)} (${what}) is not allowed`;
}

/**
 * Returns a schema for a regular expression with linear matching time. Syntax:
 * https://github.com/google/re2/wiki/Syntax. The schema checks only the size, because compiling a pattern takes time.
 * `checks/costly.ts` compiles the patterns.
 */
export function linearRegExp() {
  return z
    .string()
    .min(1)
    .refine(isSmallPattern, {
      error: `a regular expression of at most ${MAX_STEPS} characters, with repetitions written out, such as \`aaa\` for \`a{3}\``,
    });
}

/** Matches anywhere in the text, like Go's `MatchString`. An invalid expression matches nothing. */
export function matchesRegExp(pattern: string, text: string): boolean {
  return matchesPattern(pattern, text);
}
