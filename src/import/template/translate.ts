import { createConditions } from './conditions.ts';
import { createDraft, type Note, type Problem } from './draft.ts';
import { createExpressions } from './expressions.ts';
import { Untranslatable } from './lex.ts';
import { parseTemplate } from './parse.ts';
import { createStatements } from './statements.ts';
import { keyName, named } from './value.ts';

export interface Translation {
  readonly text: string;
  /** The source keys that the template uses. */
  readonly uses: readonly string[];
  /** Notes about differences in behavior. */
  readonly notes: readonly Note[];
}

export interface Names {
  /** Maps an original source name to its new name. */
  readonly rename: (name: string) => string;
}

/** Converts a Go template to Liquid. If a part has no equivalent, returns all such parts instead. */
export function translateTemplate(
  template: string,
  { rename }: Names = { rename: (name) => name },
):
  | { readonly kind: 'done'; readonly value: Translation }
  | { readonly kind: 'lost'; readonly problems: readonly Problem[] } {
  const uses = new Set<string>();
  const root = (name: string) => {
    uses.add(name);
    return named(keyName(rename(name)));
  };
  const draft = createDraft();
  const { problems } = draft;
  const translated = createExpressions({ root, help: draft });
  const conditions = createConditions({ translated, help: draft });
  const writeAll = createStatements({ draft, translated, conditions });
  try {
    const text = writeAll(parseTemplate(template), { dot: undefined, variables: new Map() });
    if (problems.length > 0) return { kind: 'lost', problems };
    return { kind: 'done', value: { text, uses: [...uses], notes: draft.notes() } };
  } catch (error) {
    if (!(error instanceof Untranslatable)) throw error;
    return { kind: 'lost', problems: [...problems, { line: error.line ?? 1, message: error.message }] };
  }
}
