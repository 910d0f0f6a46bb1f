import { type Arguments, type Template, type Token, TypeGuards, toValueSync, Value } from 'liquidjs';

type Argument = Arguments extends Iterable<infer One> ? One : never;

/** A key name that a template uses, with its position. */
export interface UsedName {
  readonly name: string;
  readonly token: Token;
}

/**
 * Yields, in order, the names that the template uses but does not define. The engine's own analysis is not used,
 * because it takes seconds for a long template.
 */
export function* freeNames(templates: readonly Template[]): Generator<UsedName> {
  yield* walk(templates, new Set(), []);
}

/**
 * @param everywhere All names defined so far, in any block. @param blocks The names that each enclosing block defines.
 */
function* walk(
  templates: readonly Template[],
  everywhere: Set<string>,
  blocks: readonly ReadonlySet<string>[],
): Generator<UsedName> {
  for (const template of templates) {
    for (const argument of template.arguments?.() ?? [])
      for (const used of namesIn(argument))
        if (!everywhere.has(used.name) && !blocks.some((names) => names.has(used.name))) yield used;
    for (const { content } of template.localScope?.() ?? []) everywhere.add(content);
    const block = template.blockScope?.();
    const inner = block === undefined ? blocks : [...blocks, new Set(block)];
    const children: unknown = toValueSync(template.children?.(false, true));
    if (Array.isArray(children)) yield* walk(children, everywhere, inner);
  }
}

function* namesIn(argument: Argument): Generator<UsedName> {
  if (!(argument instanceof Value)) return yield* namesOf(argument);
  for (const token of argument.initial.postfix) yield* namesOf(token);
  // A named argument is a pair of name and value.
  for (const { args } of argument.filters)
    for (const arg of args) yield* namesOf(Array.isArray(arg) ? arg[1] : arg);
}

function* namesOf(token: unknown): Generator<UsedName> {
  if (!TypeGuards.isPropertyAccessToken(token)) return;
  const name = rootOf(token);
  if (name !== undefined) yield { name, token };
  for (const member of membersOf(token)) yield* namesOf(member);
}

function rootOf(token: unknown): string | undefined {
  if (TypeGuards.isQuotedToken(token) || TypeGuards.isWordToken(token)) return token.content;
  return TypeGuards.isPropertyAccessToken(token) ? rootOf(token.props[0]) : undefined;
}

/** In `["a"].b` and `[a].b`, the engine stores the first member as the root of the path. */
function membersOf({
  props: [root, ...members],
}: {
  readonly props: readonly unknown[];
}): readonly unknown[] {
  return TypeGuards.isPropertyAccessToken(root) ? [...membersOf(root), ...members] : members;
}
