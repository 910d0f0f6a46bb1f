import { lex, type Piece, type Token, Untranslatable } from './lex.ts';

export type Expression =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  /** The dot (`.`) and its members. */
  | { readonly kind: 'dot'; readonly names: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly names: readonly string[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'below'; readonly of: Expression; readonly names: readonly string[] };

export interface Edges {
  readonly trimLeft: boolean;
  readonly trimRight: boolean;
  readonly line: number;
}

export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | (Edges & { readonly kind: 'comment' })
  | (Edges & { readonly kind: 'output'; readonly value: Expression })
  | (Edges & {
      readonly kind: 'assign';
      readonly name: string;
      readonly isNew: boolean;
      readonly value: Expression;
    })
  | (Edges & {
      readonly kind: 'block';
      readonly word: 'if' | 'with' | 'range';
      readonly branches: readonly Branch[];
      readonly otherwise: (Edges & { readonly body: readonly Statement[] }) | undefined;
      readonly end: Edges;
    });

export interface Branch extends Edges {
  readonly variables: readonly string[];
  readonly value: Expression;
  readonly body: readonly Statement[];
}

/**
 * Parses a Go template.
 * @throws Untranslatable if it is invalid or uses unsupported features.
 */
export function parseTemplate(template: string): readonly Statement[] {
  const pieces = lex(template);
  const cursor = { at: 0 };
  const body = statements(pieces, cursor);
  const piece = pieces[cursor.at];
  if (piece?.kind === 'action')
    throw new Untranslatable('an `end` or `else` without its beginning', piece.line);
  return body;
}

type Action = Extract<Piece, { kind: 'action' }>;

/** Parses statements up to an `else` or `end`, and leaves the `else` or `end` unread. */
function statements(pieces: readonly Piece[], cursor: { at: number }): readonly Statement[] {
  const parsed: Statement[] = [];
  for (;;) {
    const piece = pieces[cursor.at];
    if (piece === undefined) return parsed;
    if (piece.kind === 'action' && ['else', 'end'].includes(wordOf(piece))) return parsed;
    cursor.at += 1;
    if (piece.kind === 'text') parsed.push(piece);
    else parsed.push(statement(piece, pieces, cursor));
  }
}

function wordOf({ tokens: [first] }: Action): string {
  return first?.kind === 'word' ? first.text : '';
}

function edgesOf({ trimLeft, trimRight, line }: Action): Edges {
  return { trimLeft, trimRight, line };
}

function statement(action: Action, pieces: readonly Piece[], cursor: { at: number }): Statement {
  const { tokens, line } = action;
  const edges = edgesOf(action);
  if (tokens.length === 0) return { kind: 'comment', ...edges };
  const word = wordOf(action);
  if (word === 'if' || word === 'with' || word === 'range') return block(word, action, pieces, cursor);
  if (['define', 'template', 'block', 'break', 'continue'].includes(word))
    throw new Untranslatable(`\`${word}\` has no equivalent`, line);
  const [first, sign] = tokens;
  if (first?.kind === 'variable' && sign?.kind === 'sign' && (sign.text === ':=' || sign.text === '='))
    return {
      kind: 'assign',
      ...edges,
      name: first.name,
      isNew: sign.text === ':=',
      value: expression(tokens.slice(2), line),
    };
  return { kind: 'output', ...edges, value: expression(tokens, line) };
}

function block(
  word: 'if' | 'with' | 'range',
  start: Action,
  pieces: readonly Piece[],
  cursor: { at: number },
): Statement {
  const branches: Branch[] = [];
  let otherwise: (Edges & { body: readonly Statement[] }) | undefined;
  let head: Action = start;
  let skip = 1;
  let isElse = false;
  for (;;) {
    const body = statements(pieces, cursor);
    if (isElse) otherwise = { ...edgesOf(head), body };
    else branches.push({ ...edgesOf(head), ...headOf(head.tokens.slice(skip), head.line), body });
    const next = pieces[cursor.at];
    if (next?.kind !== 'action') throw new Untranslatable(`\`${word}\` has no \`end\``, start.line);
    cursor.at += 1;
    if (wordOf(next) === 'end')
      return { kind: 'block', word, ...edgesOf(start), branches, otherwise, end: edgesOf(next) };
    if (isElse) throw new Untranslatable('`else` follows another `else`', next.line);
    const [, second] = next.tokens;
    isElse = second === undefined;
    if (!isElse && !(second?.kind === 'word' && second.text === word && word !== 'range'))
      throw new Untranslatable('this `else` cannot be parsed', next.line);
    head = next;
    skip = 2;
  }
}

function headOf(tokens: readonly Token[], line: number): Pick<Branch, 'variables' | 'value'> {
  const assigned = tokens.findIndex((token) => token.kind === 'sign' && token.text === ':=');
  const variables = tokens
    .slice(0, Math.max(0, assigned))
    .flatMap((token) => (token.kind === 'variable' ? [token.name] : []));
  return { variables, value: expression(tokens.slice(assigned + 1), line) };
}

/** Parses a pipeline. The value before a `|` becomes the last argument of the function after it. */
function expression(tokens: readonly Token[], line: number): Expression {
  const reader = { tokens, at: 0, line };
  const value = pipeline(reader);
  if (reader.at < tokens.length) throw new Untranslatable('this cannot be parsed', line);
  return value;
}

interface Reader {
  readonly tokens: readonly Token[];
  readonly line: number;
  at: number;
}

function pipeline(reader: Reader): Expression {
  let value = command(reader, undefined);
  while (isSign(reader.tokens[reader.at], '|')) {
    reader.at += 1;
    value = command(reader, value);
  }
  return value;
}

function command(reader: Reader, piped: Expression | undefined): Expression {
  const first = reader.tokens[reader.at];
  if (first?.kind === 'word' && !['true', 'false', 'nil'].includes(first.text)) {
    reader.at += 1;
    const args: Expression[] = [];
    for (let next = operand(reader); next !== undefined; next = operand(reader)) args.push(next);
    return { kind: 'call', name: first.text, args: piped === undefined ? args : [...args, piped] };
  }
  const value = operand(reader);
  if (value === undefined || piped !== undefined)
    throw new Untranslatable('this cannot be parsed', reader.line);
  return value;
}

function operand(reader: Reader): Expression | undefined {
  const token = reader.tokens[reader.at];
  if (token === undefined || (token.kind === 'sign' && token.text !== '(')) return undefined;
  reader.at += 1;
  switch (token.kind) {
    case 'string':
      return { kind: 'text', value: token.value };
    case 'number':
      return { kind: 'number', text: token.text };
    case 'field':
      return { kind: 'dot', names: token.names };
    case 'variable':
      return { kind: 'variable', name: token.name, names: attached(reader) };
    case 'word':
      if (token.text === 'true' || token.text === 'false')
        return { kind: 'bool', value: token.text === 'true' };
      return { kind: 'call', name: token.text, args: [] };
    default: {
      const inner = pipeline(reader);
      if (!isSign(reader.tokens[reader.at], ')')) throw new Untranslatable('a `)` is missing', reader.line);
      reader.at += 1;
      const names = attached(reader);
      return names.length === 0 ? inner : { kind: 'below', of: inner, names };
    }
  }
}

/**
 * Reads a field that follows a value without a space, as in `$x.a` and `(f .x).a`. Such a field belongs to the value
 * before it.
 */
function attached(reader: Reader): readonly string[] {
  const token = reader.tokens[reader.at];
  if (token?.kind !== 'field' || !token.attached) return [];
  reader.at += 1;
  return token.names;
}

function isSign(token: Token | undefined, text: string): boolean {
  return token?.kind === 'sign' && token.text === text;
}
