import {
  AssignTag,
  CaptureTag,
  CaseTag,
  ForTag,
  IfTag,
  type Liquid,
  type Template,
  type Token,
  Tokenizer,
  TypeGuards,
  toValueSync,
  UnlessTag,
  Value,
} from 'liquidjs';
import { LIMITS } from './budget.ts';
import { FILTERS } from './filters.ts';

/** A problem and its position in the template. Line and column count from 1. */
export interface TemplateProblem {
  readonly line: number;
  readonly column: number;
  /** The message may quote the template, but never a value. */
  readonly message: string;
  /** The unknown name and the known names, for suggestions. */
  readonly unknown?: { readonly name: string; readonly known: readonly string[] };
}

const LOOP_WORDS = ['limit', 'offset', 'reversed'];

/** Checks the nesting before parsing, because the parser is recursive. */
export function depthProblem(text: string, liquid: Liquid): TemplateProblem | undefined {
  let depth = 0;
  for (const token of new Tokenizer(text).readTopLevelTokens(liquid.options)) {
    if (TypeGuards.isTagToken(token))
      depth += token.name.startsWith('end') ? -1 : BLOCKS.includes(token.name) ? 1 : 0;
    if (depth > LIMITS.depth) return problemAt(token, `blocks are nested more than ${LIMITS.depth} deep`);
    const brackets = TypeGuards.isHTMLToken(token) ? 0 : token.getText().split('[').length - 1;
    if (brackets > LIMITS.depth)
      return problemAt(token, `there are more than ${LIMITS.depth} brackets in one place`);
  }
  return undefined;
}

/** Tags that need an end tag. */
export const BLOCKS = ['if', 'unless', 'for', 'case', 'capture'];

/**
 * Reports mistakes that the parser accepts: ignored words as in `{{ PASSWORD json }}`, ranges, and filters with a wrong
 * number of arguments.
 */
export function* inspect(templates: readonly Template[], liquid: Liquid): Generator<TemplateProblem> {
  for (const template of templates) {
    for (const argument of template.arguments?.() ?? [])
      if (argument instanceof Value) {
        yield* inspectValue(argument, template.token);
        yield* inspectChoice(argument, template.token);
        if (CONDITIONS.some((Tag) => template instanceof Tag) && isFiltered(argument))
          yield problemAt(
            template.token,
            'a filter in a condition applies to all of it; `assign` the filtered value first',
          );
      } else yield* inspectToken(argument);
    const unparsed = unparsedText(template, liquid);
    if (unparsed !== undefined) yield problemAt(template.token, `${quote(unparsed)} is not understood here`);
    if (isFilterable(template)) yield* danglingPipe(template.token);
    if (template instanceof ForTag)
      for (const word of Object.keys(template.hash.hash))
        if (!LOOP_WORDS.includes(word))
          yield problemAt(template.token, `${quote(word)} is not understood here`);
    yield* inspect(childrenOf(template), liquid);
  }
}

const CONDITIONS = [IfTag, UnlessTag];

/** `A == B | upcase` turns the comparison into text, and text is always true. */
function isFiltered({ initial, filters }: Value): boolean {
  return filters.length > 0 && initial.postfix.some((token) => TypeGuards.isOperatorToken(token));
}

function childrenOf(template: Template): readonly Template[] {
  const children: unknown = toValueSync(template.children?.(false, true));
  return Array.isArray(children) ? children : [];
}

function* inspectValue(value: Value, where: Token): Generator<TemplateProblem> {
  let operands = 0;
  for (const token of value.initial.postfix) {
    if (TypeGuards.isOperatorToken(token)) operands -= token.operator === 'not' ? 0 : 1;
    else {
      operands += 1;
      yield* inspectToken(token);
    }
    if (operands < 1) break;
  }
  if (operands > 1)
    yield problemAt(where, 'there are two values with nothing between them; a filter needs a `|`');
  if (operands < 1) yield problemAt(where, 'an operator lacks a value');
  for (const { name, args } of value.filters) {
    const [least = 0, most = 0] = FILTERS[name]?.args ?? [];
    const takes = least === most ? `${least}` : `${least} to ${most}`;
    if (args.length < least || args.length > most)
      yield problemAt(
        where,
        `the filter ${quote(name)} takes ${takes} ${most === 1 ? 'argument' : 'arguments'}, not ${args.length}`,
      );
    for (const arg of args)
      if (isPair(arg)) yield problemAt(where, `the filter ${quote(name)} takes no named arguments`);
      else yield* inspectToken(arg);
  }
}

/** Reports `A == "x" or "y"`, where `"y"` is always true, and `A == B == C`, which compares the result of `A == B`. */
function* inspectChoice({ initial: { postfix } }: Value, where: Token): Generator<TemplateProblem> {
  const operandKinds: ('written' | 'compared' | undefined)[] = [];
  for (const token of postfix) {
    const operator = TypeGuards.isOperatorToken(token) ? token.operator : '';
    const operands = operandKinds.splice(
      operator === '' ? operandKinds.length : operator === 'not' ? -1 : -2,
    );
    const isComparison = operator !== '' && !LOGICAL_OPERATORS.includes(operator);
    const isWritten = TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token);
    operandKinds.push(isComparison ? 'compared' : isWritten ? 'written' : undefined);
    if ((operator === 'and' || operator === 'or') && operands.includes('written'))
      yield problemAt(where, 'a literal next to `and` or `or` is always true; compare it with something');
    if (isComparison && operands.includes('compared'))
      yield problemAt(where, 'the result of a comparison is compared again; join two comparisons with `and`');
  }
}

const LOGICAL_OPERATORS: readonly string[] = ['and', 'or', 'not'];

function isPair(arg: unknown): arg is readonly unknown[] {
  return Array.isArray(arg);
}

function* inspectToken(token: Token | undefined): Generator<TemplateProblem> {
  if (token === undefined) return;
  if (TypeGuards.isQuotedToken(token) && !isClosed(token.getText()))
    yield problemAt(
      token,
      'a text in quotes is not closed (in the quotes of a tag, `%}` is written `\\u0025}`)',
    );
  if (TypeGuards.isRangeToken(token)) yield problemAt(token, 'ranges such as `(1..3)` are not available');
  if (TypeGuards.isPropertyAccessToken(token)) {
    if (token.variable !== undefined) yield* inspectToken(token.variable);
    for (const part of token.props) yield* inspectToken(part);
  }
}

/**
 * Whether a quoted text is complete. A tag ends at the first `%}`, even in quotes, and the parser then drops the last
 * letter of the incomplete text.
 */
function isClosed(text: string): boolean {
  return /^(["'])(?:\\.|(?!\1)[^\\])*\1$/s.test(text);
}

/** Returns the text after the last parsed expression. */
function unparsedText(template: Template, liquid: Liquid): string | undefined {
  const { token } = template;
  if (TypeGuards.isOutputToken(token)) {
    const tokenizer = new Tokenizer(token.input, liquid.options.operators, undefined, token.contentRange);
    tokenizer.readFilteredValue();
    return nonBlank(tokenizer.remaining());
  }
  if (!TypeGuards.isTagToken(token) || !TAGS_WITH_ARGUMENTS.some((Head) => template instanceof Head))
    return undefined;
  return nonBlank(token.tokenizer.remaining());
}

function isFilterable(template: Template): boolean {
  return (
    TypeGuards.isOutputToken(template.token) || TAGS_WITH_ARGUMENTS.some((Head) => template instanceof Head)
  );
}

/** Reports a `|` at the end, which the parser ignores. A quoted text ends with its quote, so it is not reported. */
export function* danglingPipe(token: Token): Generator<TemplateProblem> {
  if (!TypeGuards.isOutputToken(token) && !TypeGuards.isTagToken(token)) return;
  const content = token.input.slice(...token.contentRange);
  if (content.trimEnd().endsWith('|')) yield problemAt(token, 'there is no filter after the last `|`');
}

const TAGS_WITH_ARGUMENTS = [AssignTag, CaptureTag, CaseTag, ForTag, IfTag, UnlessTag];

export function nonBlank(text: string): string | undefined {
  return text.trim() === '' ? undefined : text.trim();
}

export function problemAt(token: Token, message: string): TemplateProblem {
  const [line = 1, column = 1] = token.getPosition();
  return { line, column, message };
}

/** Quotes a part of a template for a message, shortened and on one line. */
export function quote(text: string): string {
  const line = text.replace(/[\p{C}\p{Z}`]+/gu, ' ').trim();
  return `\`${line.length > 60 ? `${line.slice(0, 57)}…` : line}\``;
}
