import type { Conditions } from './conditions.ts';
import type { Draft } from './draft.ts';
import type { Translated } from './expressions.ts';
import { Untranslatable } from './lex.ts';
import type { Branch, Edges, Statement } from './parse.ts';
import { type Scope, within } from './scope.ts';
import { liquidOf, named } from './value.ts';

type Block = Extract<Statement, { kind: 'block' }>;

/** A tag that does nothing, for the trims that it carries. */
const NOTHING = '% # %';

/** Gives the text of ours for statements of theirs. */
export function createStatements({
  draft,
  translated,
  conditions,
}: {
  readonly draft: Draft;
  readonly translated: Translated;
  readonly conditions: Conditions;
}): (all: readonly Statement[], scope: Scope) => string {
  /** Names of ours for variables that were assigned, and so may be again. */
  const assigned = new Set<string>();

  const writeAll = (all: readonly Statement[], scope: Scope): string => {
    const own = within(scope);
    return all.map((statement) => write(statement, own)).join('');
  };

  function write(statement: Statement, scope: Scope): string {
    switch (statement.kind) {
      case 'text':
        return asText(statement.text);
      case 'comment':
        // Without a trim too: that of its neighbour goes no further than this.
        return tags([NOTHING], statement);
      case 'output':
        return draft.attempt(statement.line, () => output(statement, scope));
      case 'assign':
        return draft.attempt(statement.line, () => assignment(statement, scope));
      default:
        return statement.word === 'range' ? range(statement, scope) : choice(statement, scope);
    }
  }

  function output(statement: Extract<Statement, { kind: 'output' }>, scope: Scope): string {
    const value = translated(statement.value, scope, statement.line);
    // So a chart keeps from Helm what is meant for their controller.
    if (value.literal?.includes('{{') === true)
      draft.note(
        'writes braces that stand in quotes, as a chart does for what their controller is to fill in',
        'If this is of a chart, render it first, as by `helm template`, and import that.',
      );
    return tags([...draft.takeBefore(), `{ ${liquidOf(value)} }`], statement);
  }

  function assignment(statement: Extract<Statement, { kind: 'assign' }>, scope: Scope): string {
    const value = translated(statement.value, scope, statement.line);
    const known = scope.variables.get(statement.name);
    // Where `with`, `if` or `range` made it, it stands for the source itself, or for the item.
    if (!statement.isNew && known !== undefined && !assigned.has(known.head))
      throw new Untranslatable(
        `\`$${statement.name}\` is given another value, which has no counterpart`,
        statement.line,
      );
    const name = statement.isNew || known === undefined ? draft.fresh(statement.name || 'value') : known.head;
    assigned.add(name);
    scope.variables.set(statement.name, named(name, value.json));
    return tags([...draft.takeBefore(), `% assign ${name} = ${liquidOf(value)} %`], statement);
  }

  function choice({ word, branches, otherwise, end }: Block, scope: Scope): string {
    const [first] = branches;
    if (first === undefined) return '';
    // What a later condition needs stands before the first one too: between branches there is no place for it.
    const heads: string[] = [];
    let opening = NOTHING;
    let text = '';
    for (const branch of branches) {
      const inner = within(scope);
      const tag = draft.attempt(branch.line, () => {
        const condition = conditions.of(branch.value, scope, branch.line);
        heads.push(...draft.takeBefore());
        const [variable] = branch.variables;
        if (word === 'with' || variable !== undefined) {
          const value = translated(branch.value, scope, branch.line);
          const name = named(draft.plain(value), value.json);
          heads.push(...draft.takeBefore());
          if (word === 'with') inner.dot = name;
          if (variable !== undefined) inner.variables.set(variable, name);
        }
        return `% ${branch === first ? 'if' : 'elsif'} ${condition} %`;
      });
      if (tag !== '' && branch === first) opening = tag;
      else if (tag !== '') text += tags([tag], branch);
      text += writeAll(branch.body, inner);
    }
    return tags([...heads, opening], first) + text + otherwiseOf(otherwise, scope) + tags(['% endif %'], end);
  }

  function range({ branches: [branch], otherwise, end }: Block, scope: Scope): string {
    if (branch === undefined) return '';
    const { variables, value, body, line } = branch;
    const inner = within(scope);
    const item = draft.fresh('item');
    const start = draft.attempt(line, () => {
      const over = translated(value, scope, line);
      if (!over.json) throw new Untranslatable('`range` over a text has no counterpart', line);
      if (variables.length > 1 && over.filters.at(-1)?.startsWith('split: ') === true)
        throw new Untranslatable('`range` with the index of a list has no counterpart', line);
      const list = draft.plain(over);
      setItem(inner, variables, item);
      // A list would give other bytes, and no error: `item[0]` of a text is its first letter.
      if (variables.length > 1)
        draft.note(
          '`range` with two variables is taken to go over an object, in the order of its members; theirs goes by name, and takes a list too',
          'See what it goes over, and write the loop by hand if that is a list.',
        );
      else draft.note('`range` with one variable or none is taken to go over a list');
      return tags([...draft.takeBefore(), `% for ${item} in ${list} %`], branch);
    });
    return start + writeAll(body, inner) + otherwiseOf(otherwise, scope) + tags(['% endfor %'], end);
  }

  function otherwiseOf(otherwise: Block['otherwise'], scope: Scope): string {
    return otherwise === undefined ? '' : tags(['% else %'], otherwise) + writeAll(otherwise.body, scope);
  }

  return writeAll;
}

function setItem(scope: Scope, variables: Branch['variables'], item: string): void {
  const [first, second] = variables;
  scope.dot = named(second === undefined ? item : `${item}[1]`, true);
  if (first !== undefined)
    scope.variables.set(first, named(second === undefined ? item : `${item}[0]`, true));
  if (second !== undefined) scope.variables.set(second, named(`${item}[1]`, true));
}

/** Tags one after the other, trimmed at the outer edges as theirs was. */
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

/** What Liquid would take for its own, also together with the braces of what comes before or after it. */
function asText(text: string): string {
  return text.replace(/\{*(?:\{%|%\}|\{\{|\}\})|\{$/g, (sign) => `{{ ${JSON.stringify(sign)} }}`);
}
