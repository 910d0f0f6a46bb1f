import { Untranslatable } from './lex.ts';
import { literal, piped, quoted, type Value } from './value.ts';

/** Helpers for the conversion of functions. */
export interface Help {
  /** Converts a value to a filter argument. An argument cannot have filters itself. */
  plain(value: Value): string;
  /** Reports a difference in behavior, and the points that the user has to check. */
  note(what: string, todo?: string): void;
}

export type Translate = (args: readonly Value[], help: Help) => Value;

/**
 * Functions with equivalent filters. The last argument is the piped value. Not supported: randomness, clocks, password
 * hashes, regular expressions, YAML, PKCS#12 output. https://pkg.go.dev/text/template#hdr-Functions,
 * https://masterminds.github.io/sprig/
 */
export const FUNCTIONS: Readonly<Record<string, Translate>> = {
  toString: firstAsText,
  print: (args) => (args.length === 1 ? asText(args[0]) : none()),
  printf,
  upper: filter('upcase'),
  lower: filter('downcase'),
  trim: filter('strip'),
  nospace([value], help) {
    help.note('`nospace` keeps non-ASCII letters intact; a Go template breaks them');
    return piped(piped(piped(required(value), 'remove: " "'), 'remove: "\\t"'), 'strip_newlines');
  },
  replace: ([from, to, value], help) =>
    piped(required(value), `replace: ${help.plain(required(from))}, ${help.plain(required(to))}`),
  quote([value, ...more], help) {
    if (more.length > 0) return none();
    help.note(QUOTED);
    return piped(asText(value), 'json');
  },
  squote: ([value, ...more]) =>
    more.length > 0 ? none() : piped(piped(required(value), `prepend: "'"`), `append: "'"`),
  default([other, value], help) {
    if (value?.json === true)
      help.note('`default` does not replace 0 or an empty object from JSON; a Go template does');
    return piped(required(value), `default: ${help.plain(required(other))}`);
  },
  indent: ([width, value]) => indented(required(value), width, ''),
  nindent: ([width, value]) => indented(required(value), width, '\n'),
  urlquery([value, ...more], help) {
    if (more.length > 0) return none();
    help.note('`urlquery` becomes `url_encode`: a space is `%20`, not `+`');
    return piped(required(value), 'url_encode');
  },
  splitList: ([separator, value], help) =>
    piped(required(value), `split: ${help.plain(required(separator))}`, { json: true }),
  join: ([separator, value], help) => piped(required(value), `join: ${help.plain(required(separator))}`),
  first: ([value]) => piped(required(value), 'first', { json: true }),
  last: ([value]) => piped(required(value), 'last', { json: true }),
  b64enc: filter('base64'),
  b64dec([value], help) {
    help.note(
      'the output of `base64_decode` must be text (UTF-8), or be passed to `base64` or a PKCS#12 filter; other bytes need `decode: base64` at the source',
    );
    return piped(required(value), 'base64_decode');
  },
  toRawJson: filter('json'),
  toJson([value], help) {
    help.note('`toJson` becomes `json`: `<`, `>` and `&` are not escaped, and members keep their order');
    return piped(required(value), 'json');
  },
  fromJson([value], help) {
    help.note('numbers from JSON are printed digit for digit');
    return piped(required(value), 'from_json', { json: true });
  },
  filterPEM([type, value], help) {
    // External Secrets ignores the case of the type.
    const label = type?.literal?.toUpperCase();
    if (label === 'CERTIFICATE') {
      help.note(
        '`filterPEM` becomes `pem_certificates`: at least one certificate is required; External Secrets returns an empty text without one',
      );
      return piped(piped(required(value), 'pem_certificates'), 'join: ""');
    }
    if (label?.endsWith('PRIVATE KEY') !== true) return none();
    help.note('`filterPEM` becomes `pem_key`: exactly one private key of any type is required');
    return piped(required(value), 'pem_key');
  },
  filterCertChain([part, value], help) {
    const { name, differs } = CHAIN_PARTS.get(part?.literal ?? '') ?? none();
    help.note(`\`filterCertChain\` becomes \`${name}\`: the certificates must form one chain${differs}`);
    return piped(required(value), name);
  },
  jwkPublicKeyPem: filter('jwk_public_pem'),
  jwkPrivateKeyPem: filter('jwk_private_pem'),
  pkcs12key: ([value], help) => pkcs12(required(value), 'pkcs12_key', help),
  pkcs12keyPass: ([password, value], help) =>
    pkcs12(required(value), `pkcs12_key: ${help.plain(required(password))}`, help),
  pkcs12cert: ([value], help) => pkcs12(required(value), 'pkcs12_cert', help),
  pkcs12certPass: ([password, value], help) =>
    pkcs12(required(value), `pkcs12_cert: ${help.plain(required(password))}`, help),
};

const CHAIN_PARTS = new Map([
  ['leaf', { name: 'pem_leaf', differs: '; for a self-signed certificate External Secrets returns nothing' }],
  ['intermediate', { name: 'pem_intermediates', differs: '' }],
  [
    'root',
    { name: 'pem_root', differs: ', including its root; without a root External Secrets returns nothing' },
  ],
]);

function firstAsText([value]: readonly Value[]): Value {
  return asText(value);
}

const QUOTED =
  '`quote` and `%q` become `json`: control and unprintable characters are escaped as in JSON, not as in Go';

/** `append` converts numbers and booleans from JSON to text. */
function asText(value: Value | undefined): Value {
  const present = required(value);
  return present.json ? piped(present, 'append: ""') : present;
}

function required(value: Value | undefined): Value {
  return value ?? none();
}

/** Throws for unsupported arguments. The caller adds the name of the function to the message. */
function none(): never {
  throw new Untranslatable('these arguments have no equivalent');
}

function filter(name: string): Translate {
  return ([value, ...more]) => (more.length === 0 ? piped(required(value), name) : none());
}

/**
 * Indents a value like Go's `indent`, which indents every line, including the first line and empty lines. Our filter
 * `indent` does not indent the first line or empty lines.
 */
function indented(value: Value, width: Value | undefined, before: string): Value {
  const count = /^\d{1,3}$/.test(width?.head ?? '') ? Number(width?.head) : Number.NaN;
  if (Number.isNaN(count)) return none();
  const spaces = ' '.repeat(count);
  const moved = count === 0 ? value : piped(value, `replace: "\\n", ${quoted(`\n${spaces}`)}`);
  return before + spaces === '' ? moved : piped(moved, `prepend: ${quoted(before + spaces)}`);
}

/** Supports `%s` and `%v` for text, `%q`, `%d` for a number literal, and `%%` (https://pkg.go.dev/fmt). */
function printf([format, ...args]: readonly Value[], help: Help): Value {
  if (format?.literal === undefined) return none();
  const remaining = [...args];
  let result: Value | undefined;
  const add = (part: Value) => {
    result = result === undefined ? part : piped(result, `append: ${help.plain(part)}`);
  };
  for (const [piece] of format.literal.matchAll(/%.|[^%]+|%$/gsu)) {
    if (!piece.startsWith('%')) add(literal(piece));
    else if (piece === '%%') add(literal('%'));
    else {
      const value = required(remaining.shift());
      if (value.json || !/^%[svqd]$/.test(piece)) return none();
      if (piece === '%d' && !/^-?\d+$/.test(value.head)) return none();
      if (piece === '%q') help.note(QUOTED);
      add(piece === '%q' ? piped(value, 'json') : /^-?\d+$/.test(value.head) ? literal(value.head) : value);
    }
  }
  return remaining.length > 0 ? none() : (result ?? literal(''));
}

function pkcs12(value: Value, name: string, help: Help): Value {
  help.note(
    'the parts of a PKCS#12 file are returned as PEM: the key as PKCS#8, the certificates from leaf to root, then certificates outside of the chain. External Secrets keeps the original order if they are not one chain',
  );
  return piped(value, name);
}
