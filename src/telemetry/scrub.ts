import { CREDENTIAL_SHAPES } from '../core/credential-shapes.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { startBackgroundTimer } from '../core/timer.ts';

/**
 * Removes credentials from outgoing text. This is the last line of defense, because types and allow-lists already
 * prevent most leaks.
 */
export interface Scrubber {
  /**
   * Registers a credential for the lifetime of the process. Very short values are ignored, because they could be
   * ordinary words.
   */
  register(value: SecretValue): void;
  /** Replaces registered values, and text that looks like a credential, by `[secret]`. */
  scrub(text: string): string;
}

const REPLACEMENT = '[secret]';
/**
 * The minimum length of replaced text, in bytes and in characters. If a short text such as `ab` were replaced
 * everywhere, logs would be unreadable, and nothing would be hidden.
 */
const MIN_LENGTH = 4;
/** For this long, the forms of the registered values serve all lines. A busy process writes a line every millisecond. */
const FORMS_MS = 50;

export function createScrubber(): Scrubber {
  const registered: SecretValue[] = [];
  let forms: readonly string[] | undefined;
  /** Returns all forms of the registered values. They are dropped soon, so that no copies of credentials stay in memory. */
  const currentForms = (): readonly string[] => {
    if (forms !== undefined) return forms;
    const all = new Set(registered.flatMap((value) => formsOf(value.reveal())));
    // Replace the longest forms first. If a short form inside a long form were replaced first, the remaining part of
    // the long form would stay visible.
    forms = [...all].sort((a, b) => b.length - a.length);
    startBackgroundTimer(() => {
      forms = undefined;
    }, FORMS_MS);
    return forms;
  };
  return {
    register(value) {
      if (value.size < MIN_LENGTH || registered.some((other) => other.equals(value))) return;
      registered.push(value);
      forms = undefined;
    },
    scrub: (text) =>
      hidePatterns(currentForms().reduce((result, form) => result.replaceAll(form, REPLACEMENT), text)),
  };
}

/** Returns the common encodings of a value. */
function formsOf(bytes: Uint8Array): readonly string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8').toWellFormed();
  const json = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  const forms = [
    text,
    json,
    // JSON inside a JSON string, for example in a log line.
    JSON.stringify(json).slice(1, -1),
    url,
    url.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase()),
    url.replaceAll('%20', '+'),
    encodeURI(text),
    buffer.toString('hex'),
    buffer.toString('hex').toUpperCase(),
    ...base64Forms(buffer),
  ];
  return forms.filter((form) => form.length >= MIN_LENGTH);
}

/**
 * Returns the Base64 encodings of a value. The encoding depends on the value's offset within a group of three bytes. If
 * other text surrounds the value (such as `user:` in basic authentication), only the inner part of the encoding is
 * known.
 */
function base64Forms(buffer: Buffer): readonly string[] {
  const forms = [buffer.toString('base64'), buffer.toString('base64url')];
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), buffer]);
    const whole = padded.length - (padded.length % 3);
    const inner = padded.toString('base64', shift === 0 ? 0 : 3, whole);
    const innerUrl = padded.toString('base64url', shift === 0 ? 0 : 3, whole);
    // Shorter parts would often match by chance.
    if (inner.length >= 8) forms.push(inner, innerUrl);
  }
  return forms;
}

/**
 * These patterns are broader than the patterns that check the configuration, because a false match in a log does little
 * harm.
 */
const LOG_PATTERNS: readonly RegExp[] = [
  // `scheme://user:password@host`.
  /(?<=:\/\/)[^\s"'/@:\\]*:[^\s"'/@\\]+(?=@)/g,
  /(?<=\bBearer )[A-Za-z0-9._~+/-]{8,}=*/gi,
];

const PATTERNS: readonly RegExp[] = [...CREDENTIAL_SHAPES.map(({ pattern }) => pattern), ...LOG_PATTERNS];

function hidePatterns(text: string): string {
  return PATTERNS.reduce((result, pattern) => result.replace(pattern, REPLACEMENT), text);
}
