import { CREDENTIAL_SHAPES } from '../core/credential-shapes.ts';
import type { SecretValue } from '../core/secret-value.ts';

/** The last line of defence for text that leaves the process. What keeps values out is elsewhere: types and allow-lists. */
export interface Scrubber {
  /** A credential that the process holds; kept for its life. Too short to be told from ordinary words: not kept. */
  register(value: SecretValue): void;
  /** The text with everything that is registered, or looks like a credential, as `[secret]`. */
  scrub(text: string): string;
}

const SHOWN = '[secret]';
/** In bytes and in characters: replacing every `ab` would make a log unreadable and hide nothing. */
const MIN_LENGTH = 4;

export function createScrubber(): Scrubber {
  const registered: SecretValue[] = [];
  let forms: readonly string[] | undefined;
  /** Made anew in each turn of the event loop, so that no second copy of a credential lives as long as the process. */
  const ofThisTurn = (): readonly string[] => {
    if (forms !== undefined) return forms;
    const all = new Set(registered.flatMap((value) => formsOf(value.reveal())));
    // The longest first: a short form may be a part of a long one and would leave the rest of it standing.
    forms = [...all].sort((a, b) => b.length - a.length);
    setImmediate(() => {
      forms = undefined;
    }).unref();
    return forms;
  };
  return {
    register(value) {
      if (value.size < MIN_LENGTH || registered.some((known) => known.equals(value))) return;
      registered.push(value);
      forms = undefined;
    },
    scrub: (text) => hideShapes(ofThisTurn().reduce((result, form) => result.replaceAll(form, SHOWN), text)),
  };
}

/** How a value looks in text that somebody has encoded. */
function formsOf(bytes: Uint8Array): readonly string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8').toWellFormed();
  const json = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  const forms = [
    text,
    json,
    // A JSON text as a string in JSON, as in a log line.
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
 * Base64 of the value alone, and the part that is the same whatever stands before and after it (`user:` in basic
 * authentication): it depends on where the value begins within a group of three bytes.
 */
function base64Forms(buffer: Buffer): readonly string[] {
  const forms = [buffer.toString('base64'), buffer.toString('base64url')];
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), buffer]);
    const whole = padded.length - (padded.length % 3);
    const inner = padded.toString('base64', shift === 0 ? 0 : 3, whole);
    const innerUrl = padded.toString('base64url', shift === 0 ? 0 : 3, whole);
    // Shorter ones would occur by chance.
    if (inner.length >= 8) forms.push(inner, innerUrl);
  }
  return forms;
}

/** Hiding too much costs little here, so these are wider than what the configuration refuses. */
const OF_A_LOG: readonly RegExp[] = [
  // `scheme://user:password@host`.
  /(?<=:\/\/)[^\s"'/@:\\]*:[^\s"'/@\\]+(?=@)/g,
  /(?<=\bBearer )[A-Za-z0-9._~+/-]{8,}=*/gi,
];

const SHAPES: readonly RegExp[] = [...CREDENTIAL_SHAPES.map(({ pattern }) => pattern), ...OF_A_LOG];

function hideShapes(text: string): string {
  return SHAPES.reduce((result, pattern) => result.replace(pattern, SHOWN), text);
}
