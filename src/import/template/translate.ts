import { createConditions } from './conditions.ts';
import { FUNCTIONS } from './functions.ts';
import { Untranslatable } from './lex.ts';
import { type Branch, type Edges, type Expression, parseTemplate, type Statement } from './parse.ts';
import { keyName, liquidOf, literal, memberName, named, type Value } from './value.ts';

export interface Translation {
  readonly text: string;
  /** The keys of the sources that it uses. */
  readonly uses: readonly string[];
  /** Where the meaning is not quite the same. */
  readonly notes: readonly Note[];
}

export interface Note {
  readonly what: string;
  /** What a person has to look at. */
  readonly todo?: string | undefined;
}

export interface Problem {
  readonly line: number;
  readonly message: string;
}

export interface Names {
  /** What the source is called here that they call so. */
  readonly rename: (name: string) => string;
}

/** Their template as one of ours, or everything in it that has no counterpart. */
export function translateTemplate(
  template: string,
  { rename }: Names = { rename: (name) => name },
):
  | { readonly kind: 'done'; readonly value: Translation }
  | { readonly kind: 'lost'; readonly problems: readonly Problem[] } {
  const uses = new Set<string>();
  const notes = new Map<string, Note>();
  const problems: Problem[] = [];
  let count = 0;
  /** Names of ours for variables that were assigned, and so may be again. */
  const assigned = new Set<string>();
  /** What stands before the statement that is being written. */
  let before: string[] = [];

  const fresh = (name: string) => {
    count += 1;
    return `go_${name === '' ? 'value' : name}_${count}`;
  };
  const help = {
    note: (what: string, todo?: string) => void notes.set(what, { what, todo }),
    plain(value: Value): string {
      if (value.filters.length === 0) return value.head;
      const name = fresh('');
      before.push(`% assign ${name} = ${liquidOf(value)} %`);
      return name;
    },
  };

  const root = (name: string): Value => {
    uses.add(name);
    return named(keyName(rename(name)));
  };

  function below(value: Value, names: readonly string[], line: number): Value {
    if (names.length === 0) return value;
    if (!value.json) throw new Untranslatable(`there is nothing below a text: \`.${names.join('.')}\``, line);
    return named(help.plain(value) + names.map(memberName).join(''), true);
  }

  function translated(expression: Expression, scope: Scope, line: number): Value {
    switch (expression.kind) {
      case 'text':
        return literal(expression.value);
      case 'number':
        return named(expression.text);
      case 'bool':
        return named(String(expression.value), true);
      case 'dot': {
        const { names } = expression;
        if (scope.dot !== undefined) return below(scope.dot, names, line);
        return fromRoot(names, line);
      }
      case 'variable': {
        if (expression.name === '') return fromRoot(expression.names, line);
        const known = scope.variables.get(expression.name);
        if (known === undefined) throw new Untranslatable(`\`$${expression.name}\` is not defined`, line);
        return below(known, expression.names, line);
      }
      case 'below':
        return below(translated(expression.of, scope, line), expression.names, line);
      default:
        return call(expression, scope, line);
    }
  }

  function fromRoot([name, ...rest]: readonly string[], line: number): Value {
    if (name === undefined) throw new Untranslatable('all keys at once cannot be had in a template', line);
    return below(root(name), rest, line);
  }

  function call(expression: Extract<Expression, { kind: 'call' }>, scope: Scope, line: number): Value {
    const { name, args } = expression;
    if (name === 'index') return indexed(args, scope, line);
    const translate = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (translate === undefined) throw new Untranslatable(`\`${name}\` has no counterpart`, line);
    const values = args.map((arg) => translated(arg, scope, line));
    try {
      return translate(values, help);
    } catch (error) {
      if (error instanceof Untranslatable && error.line === undefined)
        throw new Untranslatable(`\`${name}\` with these arguments has no counterpart`, line);
      throw error;
    }
  }

  function indexed([of, ...keys]: readonly Expression[], scope: Scope, line: number): Value {
    if (of === undefined) throw new Untranslatable('`index` without arguments', line);
    const isRoot =
      (of.kind === 'dot' && of.names.length === 0 && scope.dot === undefined) ||
      (of.kind === 'variable' && of.name === '' && of.names.length === 0);
    const [first, ...rest] = keys;
    if (isRoot) {
      if (first?.kind !== 'text')
        throw new Untranslatable('a key that is not written out has no counterpart', line);
      return at(root(first.value), rest, line);
    }
    return at(translated(of, scope, line), keys, line);
  }

  function at(value: Value, keys: readonly Expression[], line: number): Value {
    if (keys.length === 0) return value;
    if (!value.json) throw new Untranslatable('`index` of a text has no counterpart', line);
    const path = keys.map((key) => {
      if (key.kind === 'text') return memberName(key.value);
      if (key.kind === 'number') return `[${key.text}]`;
      throw new Untranslatable('an index that is not written out has no counterpart', line);
    });
    return named(help.plain(value) + path.join(''), true);
  }

  const conditions = createConditions({ translated, help });

  /** Whatever has no counterpart is noted, and the rest is looked at, so that all of it shows at once. */
  function attempt(line: number, work: () => string): string {
    before = [];
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      problems.push({ line: error.line ?? line, message: error.message });
      return '';
    }
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

  const writeAll = (all: readonly Statement[], scope: Scope): string => {
    const own: Scope = { ...scope, variables: new Map(scope.variables) };
    return all.map((statement) => write(statement, own)).join('');
  };

  function write(statement: Statement, scope: Scope): string {
    switch (statement.kind) {
      case 'text':
        return asText(statement.text);
      case 'comment':
        // Without a trim too: that of its neighbour goes no further than this.
        return tags(['% # %'], statement);
      case 'output':
        return attempt(statement.line, () => {
          const value = translated(statement.value, scope, statement.line);
          // So a chart keeps from Helm what is meant for their controller.
          if (value.literal?.includes('{{') === true)
            help.note(
              'writes braces that stand in quotes, as a chart does for what their controller is to fill in',
              'If this is of a chart, render it first, as by `helm template`, and import that.',
            );
          return tags([...before, `{ ${liquidOf(value)} }`], statement);
        });
      case 'assign':
        return attempt(statement.line, () => {
          const value = translated(statement.value, scope, statement.line);
          const known = scope.variables.get(statement.name);
          // Where `with`, `if` or `range` made it, it stands for the source itself, or for the item.
          if (!statement.isNew && known !== undefined && !assigned.has(known.head))
            throw new Untranslatable(
              `\`$${statement.name}\` is given another value, which has no counterpart`,
              statement.line,
            );
          const name = statement.isNew || known === undefined ? fresh(statement.name) : known.head;
          assigned.add(name);
          scope.variables.set(statement.name, named(name, value.json));
          return tags([...before, `% assign ${name} = ${liquidOf(value)} %`], statement);
        });
      default:
        return statement.word === 'range' ? range(statement, scope) : choice(statement, scope);
    }
  }

  type Block = Extract<Statement, { kind: 'block' }>;

  function choice({ word, branches, otherwise, end }: Block, scope: Scope): string {
    const heads: string[] = [];
    let text = '';
    let open = '';
    for (const [index, branch] of branches.entries()) {
      const inner: Scope = { ...scope, variables: new Map(scope.variables) };
      open = attempt(branch.line, () => {
        const condition = conditions.of(branch.value, scope, branch.line);
        heads.push(...before);
        before = [];
        const [variable] = branch.variables;
        if (word === 'with' || variable !== undefined) {
          const value = translated(branch.value, scope, branch.line);
          const name = named(help.plain(value), value.json);
          heads.push(...before);
          if (word === 'with') inner.dot = name;
          if (variable !== undefined) inner.variables.set(variable, name);
        }
        return `% ${index === 0 ? 'if' : 'elsif'} ${condition} %`;
      });
      if (open !== '') text += index === 0 ? `\u0000${open}\u0000` : tags([open], branch);
      text += writeAll(branch.body, inner);
    }
    const [first] = branches;
    const [, opening = ''] = text.split('\u0000');
    const start = first === undefined ? '' : tags([...heads, opening === '' ? '% # %' : opening], first);
    const otherwiseText =
      otherwise === undefined ? '' : tags(['% else %'], otherwise) + writeAll(otherwise.body, scope);
    return start + text.replace(/^\u0000[^\u0000]*\u0000/, '') + otherwiseText + tags(['% endif %'], end);
  }

  function range({ branches: [branch], otherwise, end }: Block, scope: Scope): string {
    if (branch === undefined) return '';
    const { variables, value, body, line } = branch;
    const inner: Scope = { ...scope, variables: new Map(scope.variables) };
    const item = fresh('item');
    const start = attempt(line, () => {
      const over = translated(value, scope, line);
      if (!over.json) throw new Untranslatable('`range` over a text has no counterpart', line);
      if (variables.length > 1 && over.filters.at(-1)?.startsWith('split: ') === true)
        throw new Untranslatable('`range` with the index of a list has no counterpart', line);
      const list = help.plain(over);
      setItem(inner, variables, item);
      // A list would give other bytes, and no error: `item[0]` of a text is its first letter.
      if (variables.length > 1)
        help.note(
          '`range` with two variables is taken to go over an object, in the order of its members; theirs goes by name, and takes a list too',
          'See what it goes over, and write the loop by hand if that is a list.',
        );
      else help.note('`range` with one variable or none is taken to go over a list');
      return tags([...before, `% for ${item} in ${list} %`], branch);
    });
    const rest =
      otherwise === undefined ? '' : tags(['% else %'], otherwise) + writeAll(otherwise.body, scope);
    return start + writeAll(body, inner) + rest + tags(['% endfor %'], end);
  }

  try {
    const text = writeAll(parseTemplate(template), { dot: undefined, variables: new Map() });
    if (problems.length > 0) return { kind: 'lost', problems };
    return { kind: 'done', value: { text, uses: [...uses], notes: [...notes.values()] } };
  } catch (error) {
    if (!(error instanceof Untranslatable)) throw error;
    return { kind: 'lost', problems: [...problems, { line: error.line ?? 1, message: error.message }] };
  }
}

export interface Scope {
  dot: Value | undefined;
  readonly variables: Map<string, Value>;
}

function setItem(scope: Scope, variables: Branch['variables'], item: string): void {
  const [first, second] = variables;
  scope.dot = named(second === undefined ? item : `${item}[1]`, true);
  if (first !== undefined)
    scope.variables.set(first, named(second === undefined ? item : `${item}[0]`, true));
  if (second !== undefined) scope.variables.set(second, named(`${item}[1]`, true));
}

/** What Liquid would take for its own, also together with the braces of what comes before or after it. */
function asText(text: string): string {
  return text.replace(/\{*(?:\{%|%\}|\{\{|\}\})|\{$/g, (sign) => `{{ ${JSON.stringify(sign)} }}`);
}
