import { append } from '../../core/lists.ts';
import { type Conditions, createConditions } from './conditions.ts';
import { createDraft, type Draft, type Note, type Problem } from './draft.ts';
import { createExpressions, type Translated } from './expressions.ts';
import { Untranslatable } from './lex.ts';
import type { Branch, Edges, Statement } from './parse.ts';
import { parseTemplateAt, type TemplateRoot } from './root.ts';
import { keyName, liquidOf, named, type Scope, within } from './value.ts';

type Block = Extract<Statement, { kind: 'block' }>;

/** A tag without output, used only to trim white space. */
const NOTHING = '% # %';

interface StatementsDeps {
  readonly draft: Draft;
  readonly translated: Translated;
  readonly conditions: Conditions;
}

/** Converts Go template statements to Liquid text. */
class StatementWriter {
  readonly #draft: Draft;
  readonly #translated: Translated;
  readonly #conditions: Conditions;
  /** Liquid variables that an `assign` tag created. Only these can be assigned again. */
  readonly #assigned = new Set<string>();

  constructor({ draft, translated, conditions }: StatementsDeps) {
    this.#draft = draft;
    this.#translated = translated;
    this.#conditions = conditions;
  }

  writeAll(all: readonly Statement[], scope: Scope): string {
    const own = within(scope);
    return all.map((statement) => this.#write(statement, own)).join('');
  }

  #write(statement: Statement, scope: Scope): string {
    switch (statement.kind) {
      case 'text':
        return asText(statement.text);
      case 'comment':
        // Write a tag for the comment even if it trims nothing. Without this tag, the texts before and after the
        // comment would become one text, and the trimming tags at both ends of this text would trim all of it.
        return tags([NOTHING], statement);
      case 'output':
        return this.#draft.attempt(statement.line, () => this.#output(statement, scope));
      case 'assign':
        return this.#draft.attempt(statement.line, () => this.#assignment(statement, scope));
      default:
        return statement.word === 'range' ? this.#range(statement, scope) : this.#choice(statement, scope);
    }
  }

  #output(statement: Extract<Statement, { kind: 'output' }>, scope: Scope): string {
    const value = this.#translated(statement.value, scope, statement.line);
    // Helm charts write such braces to protect a template of External Secrets from Helm.
    if (value.literal?.includes('{{') === true)
      this.#draft.note(
        'writes quoted braces, as a chart does for text that the other tool renders',
        'If this comes from a chart, render it first, for example with `helm template`, and import the result.',
      );
    return tags([...this.#draft.takeBefore(), `{ ${liquidOf(value)} }`], statement);
  }

  #assignment(statement: Extract<Statement, { kind: 'assign' }>, scope: Scope): string {
    const value = this.#translated(statement.value, scope, statement.line);
    const variable = scope.variables.get(statement.name);
    // If `with`, `if` or `range` defines a variable, it is an alias for the source or the item. So it cannot get a new
    // value.
    if (!statement.isNew && variable !== undefined && !this.#assigned.has(variable.head))
      throw new Untranslatable(`a new value for \`$${statement.name}\` has no equivalent`, statement.line);
    const name =
      statement.isNew || variable === undefined
        ? this.#draft.fresh(statement.name || 'value')
        : variable.head;
    this.#assigned.add(name);
    scope.variables.set(statement.name, named(name, value.json));
    return tags([...this.#draft.takeBefore(), `% assign ${name} = ${liquidOf(value)} %`], statement);
  }

  #choice({ word, branches, otherwise, end }: Block, scope: Scope): string {
    const [first] = branches;
    if (first === undefined) return '';
    // Liquid has no place for assignments between two branches. So the assignments for all conditions come before the
    // first condition.
    const heads: string[] = [];
    let opening = NOTHING;
    let text = '';
    for (const branch of branches) {
      const inner = within(scope);
      const tag = this.#draft.attempt(branch.line, () => {
        const condition = this.#conditions.of(branch.value, scope, branch.line);
        append(heads, this.#draft.takeBefore());
        const [variable] = branch.variables;
        if (word === 'with' || variable !== undefined) {
          const value = this.#translated(branch.value, scope, branch.line);
          const name = named(this.#draft.plain(value), value.json);
          append(heads, this.#draft.takeBefore());
          if (word === 'with') inner.dot = name;
          if (variable !== undefined) inner.variables.set(variable, name);
        }
        return `% ${branch === first ? 'if' : 'elsif'} ${condition} %`;
      });
      if (tag !== '' && branch === first) opening = tag;
      else if (tag !== '') text += tags([tag], branch);
      text += this.writeAll(branch.body, inner);
    }
    return (
      tags([...heads, opening], first) + text + this.#otherwiseOf(otherwise, scope) + tags(['% endif %'], end)
    );
  }

  #range({ branches: [branch], otherwise, end }: Block, scope: Scope): string {
    if (branch === undefined) return '';
    const { variables, value, body, line } = branch;
    const inner = within(scope);
    const item = this.#draft.fresh('item');
    const start = this.#draft.attempt(line, () => {
      const collection = this.#translated(value, scope, line);
      if (!collection.json) throw new Untranslatable('`range` over a text has no equivalent', line);
      if (variables.length > 1 && collection.filters.at(-1)?.startsWith('split: ') === true)
        throw new Untranslatable('`range` with the index of a list has no equivalent', line);
      const list = this.#draft.plain(collection);
      setItem(inner, variables, item);
      // Add a note, because a list would silently produce different output than a text. For a text, `item[0]` is its
      // first letter.
      if (variables.length > 1)
        this.#draft.note(
          '`range` with two variables is treated as a loop over an object in member order; a Go template sorts by name and also accepts a list',
          'Check the type. If it is a list, write the loop by hand.',
        );
      else this.#draft.note('`range` with one variable or none is treated as a loop over a list');
      return tags([...this.#draft.takeBefore(), `% for ${item} in ${list} %`], branch);
    });
    return (
      start + this.writeAll(body, inner) + this.#otherwiseOf(otherwise, scope) + tags(['% endfor %'], end)
    );
  }

  #otherwiseOf(otherwise: Block['otherwise'], scope: Scope): string {
    return otherwise === undefined
      ? ''
      : tags(['% else %'], otherwise) + this.writeAll(otherwise.body, scope);
  }
}

function setItem(scope: Scope, variables: Branch['variables'], item: string): void {
  const [first, second] = variables;
  scope.dot = named(second === undefined ? item : `${item}[1]`, true);
  if (first !== undefined)
    scope.variables.set(first, named(second === undefined ? item : `${item}[0]`, true));
  if (second !== undefined) scope.variables.set(second, named(`${item}[1]`, true));
}

/** Joins tags and keeps the original white space trimming at the outer edges. */
function tags(
  inner: readonly string[],
  { trimLeft, trimRight }: Pick<Edges, 'trimLeft' | 'trimRight'>,
): string {
  return inner
    .map((tag, index) => {
      const open = `{${tag[0]}${index === 0 && trimLeft ? '-' : ''}`;
      const close = `${index === inner.length - 1 && trimRight ? '-' : ''}${tag.at(-1)}}`;
      return `${open}${tag.slice(1, -1)}${close}`;
    })
    .join('');
}

/** Escapes Liquid delimiters, including delimiters that would form with an adjacent brace. */
function asText(text: string): string {
  return text.replace(/\{*(?:\{%|%\}|\{\{|\}\})|\{$/g, (sign) => `{{ ${JSON.stringify(sign)} }}`);
}

interface Translation {
  readonly text: string;
  /** The source keys that the template uses. */
  readonly uses: readonly string[];
  /** Notes about differences in behavior. */
  readonly notes: readonly Note[];
}

interface TranslateOptions {
  /** Maps an original source name to its new name. */
  readonly rename?: (name: string) => string;
  readonly root?: TemplateRoot | undefined;
}

/** Converts a Go template to Liquid. If a part has no equivalent, returns all such parts instead. */
export function translateTemplate(
  template: string,
  { rename = (name) => name, root: objectRoot }: TranslateOptions = {},
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
  const statements = new StatementWriter({ draft, translated, conditions });
  try {
    const text = statements.writeAll(parseTemplateAt(template, objectRoot), {
      dot: undefined,
      variables: new Map(),
    });
    if (problems.length > 0) return { kind: 'lost', problems };
    return { kind: 'done', value: { text, uses: [...uses], notes: draft.notes() } };
  } catch (error) {
    if (!(error instanceof Untranslatable)) throw error;
    return { kind: 'lost', problems: [...problems, { line: error.line ?? 1, message: error.message }] };
  }
}
