import { type Liquid, type TagToken, type Token, Tokenizer, TypeGuards } from 'liquidjs';
import { BLOCKS, danglingPipe, nonBlank, problemAt, quote, type TemplateProblem } from './inspect.ts';

interface Block {
  readonly name: string;
  /** For a `case` tag: text before its first branch is never printed. */
  branch: 'none' | 'when' | 'else';
}

/**
 * Reports mistakes in inner tags that the parser silently accepts. A `when` would use only its first value, and a
 * `break` outside a loop would end the output.
 * @param text A template that could be parsed.
 */
export function* inspectTags(text: string, liquid: Liquid): Generator<TemplateProblem> {
  const blocks: Block[] = [];
  for (const token of readTokens(text, liquid)) {
    const inner = blocks.at(-1);
    const isTag = TypeGuards.isTagToken(token);
    const name = isTag ? token.name : '';
    if (
      inner?.name === 'case' &&
      inner.branch === 'none' &&
      !CASE_TAGS.includes(name) &&
      !printsNothing(token)
    )
      yield problemAt(token, 'text before the first `when` is never printed');
    if (!isTag) continue;
    if (name === 'when') yield* inspectValues(token);
    else if (name === 'elsif') {
      token.tokenizer.readFilteredValue();
      yield* unexpectedText(token, token.tokenizer.remaining());
      yield* danglingPipe(token);
    } else if (name.startsWith('end') || TAGS_WITHOUT_ARGUMENTS.includes(name))
      yield* unexpectedText(token, token.args);
    const isAfterElse = inner?.name === 'case' && inner.branch === 'else' && CASE_TAGS.includes(name);
    const isOutsideLoop = LOOP_EXITS.includes(name) && !blocks.some((block) => block.name === 'for');
    if (isOutsideLoop || (isAfterElse && name !== 'endcase'))
      yield problemAt(token, `there is no tag ${quote(name)}, or it is not expected here`);
    if (BLOCKS.includes(name)) blocks.push({ name, branch: 'none' });
    else if (name.startsWith('end')) blocks.pop();
    else if (inner !== undefined && (name === 'when' || name === 'else')) inner.branch = name;
  }
}

const LOOP_EXITS = ['break', 'continue'];
const TAGS_WITHOUT_ARGUMENTS = ['else', ...LOOP_EXITS];
const CASE_TAGS = ['when', 'else', 'endcase'];

/** Leaves out comments and `raw` tags, so that every remaining end tag closes a block. */
function readTokens(text: string, liquid: Liquid): readonly Token[] {
  let isComment = false;
  return new Tokenizer(text).readTopLevelTokens(liquid.options).filter((token) => {
    const name = TypeGuards.isTagToken(token) ? token.name : '';
    const wasComment = isComment;
    isComment = isComment ? name !== 'endcomment' : name === 'comment';
    return !wasComment && !isComment && name !== 'raw' && name !== 'endraw';
  });
}

function printsNothing(token: Token): boolean {
  if (TypeGuards.isTagToken(token)) return token.name === '#';
  return TypeGuards.isHTMLToken(token) && nonBlank(token.getText()) === undefined;
}

/** Reads values that are separated by `,` or `or`. */
function* inspectValues(token: TagToken): Generator<TemplateProblem> {
  const { tokenizer } = token;
  for (;;) {
    if (tokenizer.readValue() === undefined) {
      yield* unexpectedText(token, tokenizer.remaining());
      yield problemAt(token, 'something is missing here');
      return;
    }
    tokenizer.skipBlank();
    const rest = tokenizer.remaining();
    const between = /^(?:,|or\b)/.exec(rest)?.[0];
    if (between === undefined) return yield* unexpectedText(token, rest);
    tokenizer.advance(between.length);
  }
}

function* unexpectedText(token: Token, text: string): Generator<TemplateProblem> {
  const rest = nonBlank(text);
  if (rest !== undefined) yield problemAt(token, `${quote(rest)} is not understood here`);
}
