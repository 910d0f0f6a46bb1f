import { Untranslatable } from './lex.ts';
import { literal, piped, quoted, type Value } from './value.ts';

/** What a function needs of the template that it stands in. */
export interface Help {
  /** A value as an argument of a filter, which takes no filters itself. */
  plain(value: Value): string;
  /** Says that the meaning is not quite the same, and what a person has to look at, if anything. */
  note(what: string, todo?: string): void;
}

export type Translate = (args: readonly Value[], help: Help) => Value;

/**
 * Functions of their templates that filters of ours do. The last argument is what is piped in. Those that are not
 * here have no counterpart: randomness, clocks, hashes of passwords, regular expressions, YAML, PKCS#12 out.
 * https://pkg.go.dev/text/template#hdr-Functions, https://masterminds.github.io/sprig/
 */
export const FUNCTIONS: Readonly<Record<string, Translate>> = {
  // Text
  toString: firstAsText,
  print: (args) => (args.length === 1 ? asText(args[0]) : none()),
  printf,
  upper: filter('upcase'),
  lower: filter('downcase'),
  trim: filter('strip'),
  nospace([it], help) {
    help.note('`nospace` leaves letters beyond ASCII whole; theirs breaks them');
    return piped(piped(piped(given(it), 'remove: " "'), 'remove: "\\t"'), 'strip_newlines');
  },
  replace: ([from, to, it], help) =>
    piped(given(it), `replace: ${help.plain(given(from))}, ${help.plain(given(to))}`),
  quote([it, ...more], help) {
    if (more.length > 0) return none();
    help.note(QUOTED);
    return piped(asText(it), 'json');
  },
  squote: ([it, ...more]) =>
    more.length > 0 ? none() : piped(piped(given(it), `prepend: "'"`), `append: "'"`),
  default([other, it], help) {
    if (it?.json === true)
      help.note('`default` replaces no 0 and no empty object out of JSON; theirs replaces them');
    return piped(given(it), `default: ${help.plain(given(other))}`);
  },
  indent: ([width, it]) => indented(given(it), width, ''),
  nindent: ([width, it]) => indented(given(it), width, '\n'),
  urlquery([it, ...more], help) {
    if (more.length > 0) return none();
    help.note('`urlquery` becomes `url_encode`: a space is `%20`, not `+`');
    return piped(given(it), 'url_encode');
  },
  splitList: ([separator, it], help) =>
    piped(given(it), `split: ${help.plain(given(separator))}`, { json: true }),
  join: ([separator, it], help) => piped(given(it), `join: ${help.plain(given(separator))}`),
  first: ([it]) => piped(given(it), 'first', { json: true }),
  last: ([it]) => piped(given(it), 'last', { json: true }),
  // Encodings
  b64enc: filter('base64'),
  b64dec([it], help) {
    help.note(
      'what `base64_decode` gives must be text (UTF-8), or go on to `base64` or a PKCS#12 filter; other bytes need `decode: base64` at the source',
    );
    return piped(given(it), 'base64_decode');
  },
  toRawJson: filter('json'),
  toJson([it], help) {
    help.note('`toJson` becomes `json`: `<`, `>` and `&` are not escaped, and members stay in their order');
    return piped(given(it), 'json');
  },
  fromJson([it], help) {
    help.note('numbers out of JSON are printed digit for digit');
    return piped(given(it), 'from_json', { json: true });
  },
  // Certificates
  filterPEM([type, it], help) {
    // Theirs asks for no case of its letters.
    const label = type?.literal?.toUpperCase();
    if (label === 'CERTIFICATE') {
      help.note(
        '`filterPEM` becomes `pem_certificates`: there must be one; without any, theirs gives nothing',
      );
      return piped(piped(given(it), 'pem_certificates'), 'join: ""');
    }
    if (label?.endsWith('PRIVATE KEY') !== true) return none();
    help.note('`filterPEM` becomes `pem_key`: there must be one private key, of whatever type');
    return piped(given(it), 'pem_key');
  },
  filterCertChain([part, it], help) {
    const { name, differs } = CHAIN_PARTS.get(part?.literal ?? '') ?? none();
    help.note(`\`filterCertChain\` becomes \`${name}\`: the certificates must be one chain${differs}`);
    return piped(given(it), name);
  },
  pkcs12key: ([it], help) => pkcs12(given(it), 'pkcs12_key', help),
  pkcs12keyPass: ([password, it], help) =>
    pkcs12(given(it), `pkcs12_key: ${help.plain(given(password))}`, help),
  pkcs12cert: ([it], help) => pkcs12(given(it), 'pkcs12_cert', help),
  pkcs12certPass: ([password, it], help) =>
    pkcs12(given(it), `pkcs12_cert: ${help.plain(given(password))}`, help),
};

const CHAIN_PARTS = new Map([
  ['leaf', { name: 'pem_leaf', differs: '; of one that signs itself, theirs gives nothing' }],
  ['intermediate', { name: 'pem_intermediates', differs: '' }],
  ['root', { name: 'pem_root', differs: ', up to its root; without that, theirs gives nothing' }],
]);

function firstAsText([it]: readonly Value[]): Value {
  return asText(it);
}

const QUOTED =
  '`quote` and `%q` become `json`: control characters and what is not printed are escaped as in JSON, not as in Go';

/** Of a number or a boolean out of JSON, `append` makes text. */
function asText(value: Value | undefined): Value {
  const it = given(value);
  return it.json ? piped(it, 'append: ""') : it;
}

function given(value: Value | undefined): Value {
  return value ?? none();
}

/** The caller names the function. */
function none(): never {
  throw new Untranslatable('these arguments have no counterpart');
}

function filter(name: string): Translate {
  return ([it, ...more]) => (more.length === 0 ? piped(given(it), name) : none());
}

/** Theirs moves every line, the first and empty ones included; our `indent` moves neither. */
function indented(it: Value, width: Value | undefined, before: string): Value {
  const count = /^\d{1,3}$/.test(width?.head ?? '') ? Number(width?.head) : Number.NaN;
  if (Number.isNaN(count)) return none();
  const spaces = ' '.repeat(count);
  const moved = count === 0 ? it : piped(it, `replace: "\\n", ${quoted(`\n${spaces}`)}`);
  return before + spaces === '' ? moved : piped(moved, `prepend: ${quoted(before + spaces)}`);
}

/** https://pkg.go.dev/fmt: `%s` and `%v` of text, `%q`, `%d` of a number in the template, `%%`. */
function printf([format, ...args]: readonly Value[], help: Help): Value {
  if (format?.literal === undefined) return none();
  const left = [...args];
  let whole: Value | undefined;
  const add = (part: Value) => {
    whole = whole === undefined ? part : piped(whole, `append: ${help.plain(part)}`);
  };
  for (const [piece] of format.literal.matchAll(/%.|[^%]+|%$/gsu)) {
    if (!piece.startsWith('%')) add(literal(piece));
    else if (piece === '%%') add(literal('%'));
    else {
      const value = given(left.shift());
      if (value.json || !/^%[svqd]$/.test(piece)) return none();
      if (piece === '%d' && !/^-?\d+$/.test(value.head)) return none();
      if (piece === '%q') help.note(QUOTED);
      add(piece === '%q' ? piped(value, 'json') : /^-?\d+$/.test(value.head) ? literal(value.head) : value);
    }
  }
  return left.length > 0 ? none() : (whole ?? literal(''));
}

function pkcs12(it: Value, name: string, help: Help): Value {
  help.note(
    'the parts of a PKCS#12 file are given as PEM, the key as PKCS#8, the certificates leaf first, with what is not of their chain behind them; theirs leaves their order as it is where they are not one chain',
  );
  return piped(it, name);
}
