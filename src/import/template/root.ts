import { Untranslatable } from './lex.ts';
import { type Branch, type Expression, parseTemplate, type Statement } from './parse.ts';

/** The object at the start of a template, for tools whose keys are in one of its fields. */
export interface TemplateRoot {
  /** The field with the keys of the sources. */
  readonly keys: string;
  /** Fields whose values are known now, such as labels and annotations. */
  readonly constants: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * Parses a Go template. With a root, `.Secrets.a` becomes `.a`, and a known value becomes a text.
 * @throws Untranslatable if it is invalid or uses unsupported features.
 */
export function parseTemplateAt(template: string, root: TemplateRoot | undefined): readonly Statement[] {
  const statements = parseTemplate(template);
  return root === undefined ? statements : new Rewriter(root).all(statements, true);
}

class Rewriter {
  readonly #root: TemplateRoot;

  constructor(root: TemplateRoot) {
    this.#root = root;
  }

  /** @param isRoot Whether the dot is the root here. `with` and `range` change the dot. */
  all(statements: readonly Statement[], isRoot: boolean): readonly Statement[] {
    return statements.map((statement) => this.#statement(statement, isRoot));
  }

  #statement(statement: Statement, isRoot: boolean): Statement {
    switch (statement.kind) {
      case 'text':
      case 'comment':
        return statement;
      case 'output':
      case 'assign':
        return { ...statement, value: this.#value(statement.value, isRoot, statement.line) };
      default: {
        const { word, branches, otherwise } = statement;
        return {
          ...statement,
          branches: branches.map((branch) =>
            this.#branch(branch, { isRoot, inner: isRoot && word === 'if' }),
          ),
          otherwise: otherwise && { ...otherwise, body: this.all(otherwise.body, isRoot) },
        };
      }
    }
  }

  #branch(branch: Branch, { isRoot, inner }: { readonly isRoot: boolean; readonly inner: boolean }): Branch {
    return {
      ...branch,
      value: this.#value(branch.value, isRoot, branch.line),
      body: this.all(branch.body, inner),
    };
  }

  #value(expression: Expression, isRoot: boolean, line: number): Expression {
    switch (expression.kind) {
      case 'dot':
        return isRoot ? this.#field(expression.names, (names) => ({ kind: 'dot', names }), line) : expression;
      case 'variable':
        return expression.name === ''
          ? this.#field(expression.names, (names) => ({ kind: 'variable', name: '', names }), line)
          : expression;
      case 'below':
        return { ...expression, of: this.#value(expression.of, isRoot, line) };
      case 'call':
        return this.#call(expression, isRoot, line);
      default:
        return expression;
    }
  }

  #field(
    [first, ...rest]: readonly string[],
    make: (names: readonly string[]) => Expression,
    line: number,
  ): Expression {
    if (first === undefined || first === this.#root.keys) return make(rest);
    const [name, ...deeper] = rest;
    const known = name === undefined || deeper.length > 0 ? undefined : this.#constant(first, name);
    if (known === undefined)
      throw new Untranslatable(`\`.${[first, ...rest].join('.')}\` has no equivalent`, line);
    return known;
  }

  #call(expression: Extract<Expression, { kind: 'call' }>, isRoot: boolean, line: number): Expression {
    const { name, args } = expression;
    const [target, key, ...more] = args;
    const field = target === undefined ? undefined : fieldOf(target, isRoot);
    if ((name === 'index' || name === 'get') && field !== undefined && key?.kind === 'text') {
      const known = more.length === 0 ? this.#constant(field, key.value) : undefined;
      if (known !== undefined) return known;
    }
    return {
      kind: 'call',
      // `get` of sprig and `index` differ only for keys that do not exist.
      name: name === 'get' ? 'index' : name,
      args: args.map((arg) => this.#value(arg, isRoot, line)),
    };
  }

  #constant(field: string, name: string): Expression | undefined {
    const values = Object.hasOwn(this.#root.constants, field) ? this.#root.constants[field] : undefined;
    const value = values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
    return value === undefined ? undefined : { kind: 'text', value };
  }
}

/** Returns the field of the root that an expression names. */
function fieldOf(expression: Expression, isRoot: boolean): string | undefined {
  const isAtRoot =
    (expression.kind === 'dot' && isRoot) || (expression.kind === 'variable' && expression.name === '');
  return isAtRoot && expression.names.length === 1 ? expression.names[0] : undefined;
}
