/** A part of a Go template (https://pkg.go.dev/text/template): text, or an action between `{{` and `}}`. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'action';
      readonly tokens: readonly Token[];
      readonly trimLeft: boolean;
      readonly trimRight: boolean;
      readonly line: number;
    };

export type Token =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly text: string }
  /** A field such as `.a.b`. For a single `.`, `names` is empty. */
  | { readonly kind: 'field'; readonly names: readonly string[]; readonly attached: boolean }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'sign'; readonly text: '|' | '(' | ')' | ':=' | '=' | ',' };

/** Thrown for a part without an equivalent in our templates, and for an invalid Go template. */
export class Untranslatable extends Error {
  readonly line: number | undefined;
  constructor(message: string, line?: number) {
    super(message);
    this.name = 'Untranslatable';
    this.line = line;
  }
}

export function lex(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < template.length) {
    const start = template.indexOf('{{', at);
    const text = template.slice(at, start < 0 ? template.length : start);
    if (text !== '') pieces.push({ kind: 'text', text });
    if (start < 0) break;
    const line = template.slice(0, start).split('\n').length;
    const end = endOf(template, start + 2, line);
    let inner = template.slice(start + 2, end);
    const trimLeft = /^-\s/.test(inner);
    const trimRight = /\s-$/.test(inner);
    inner = inner.slice(trimLeft ? 1 : 0, trimRight ? -1 : undefined).trim();
    const isComment = inner.startsWith('/*');
    pieces.push({
      kind: 'action',
      tokens: isComment ? [] : tokensOf(inner, line),
      trimLeft,
      trimRight,
      line,
    });
    at = end + 2;
  }
  return pieces;
}

/** Returns the position of the next `}}` outside of strings. */
function endOf(template: string, from: number, line: number): number {
  if (/^-?\s*\/\*/.test(template.slice(from))) {
    const close = template.indexOf('*/', from);
    const end = close < 0 ? -1 : template.indexOf('}}', close);
    if (end >= 0) return end;
  }
  let quote = '';
  for (let at = from; at < template.length; at += 1) {
    const char = template[at] ?? '';
    if (quote !== '') {
      if (char === '\\' && quote !== '`') at += 1;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === '`' || char === "'") quote = char;
    else if (template.startsWith('}}', at)) return at;
  }
  throw new Untranslatable('an action is not closed', line);
}

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|:=|[|(),=]|(?:\.[A-Za-z_]\w*)+|\.(?![\w.])|\$\w*|-?\d[\w.]*|[A-Za-z_]\w*/suy;

function tokensOf(text: string, line: number): readonly Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  let spaced = true;
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const word = pattern.exec(text)?.[0];
    if (word === undefined)
      throw new Untranslatable(`cannot parse \`${text.slice(start, start + 20)}\``, line);
    const isSpace = word.trim() === '';
    if (!isSpace) tokens.push(tokenOf(word, spaced, line));
    spaced = isSpace;
  }
  return tokens;
}

function tokenOf(word: string, spaced: boolean, line: number): Token {
  const [first = ''] = word;
  if (first === '"') return { kind: 'string', value: unquote(word, line) };
  if (first === '`') return { kind: 'string', value: word.slice(1, -1) };
  if (first === '.') return { kind: 'field', names: word.split('.').filter(Boolean), attached: !spaced };
  if (first === '$') return { kind: 'variable', name: word.slice(1) };
  if (/[-\d]/.test(first)) return { kind: 'number', text: word };
  if (/\w/.test(first)) return { kind: 'word', text: word };
  return { kind: 'sign', text: word as Extract<Token, { kind: 'sign' }>['text'] };
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** Parses a string literal as in https://go.dev/ref/spec#String_literals, but without escapes for single bytes. */
function unquote(word: string, line: number): string {
  return word.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|.)/gs, (_, sign: string) => {
    if (sign.length === 5) return String.fromCharCode(Number.parseInt(sign.slice(1), 16));
    const char = ESCAPES[sign];
    if (char === undefined)
      throw new Untranslatable(`the escape \`\\${sign}\` in a text is not supported`, line);
    return char;
  });
}
