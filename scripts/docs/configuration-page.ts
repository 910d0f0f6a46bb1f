import { z } from 'zod';
import { ConfigFile } from '../../src/config/schema.ts';
import { isObject } from '../../src/core/json.ts';
import { BEFORE_FIELDS, EXAMPLE } from './configuration-text.ts';

/** The keywords of JSON Schema (2020-12) that zod generates for the configuration schema. */
interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

/** Returns `docs/reference/configuration.md`, generated from the schema of the configuration. */
export function configurationPage(): string {
  const root: Schema = z.toJSONSchema(ConfigFile, { io: 'input' }) as Schema;
  const inherited = new Set(Object.keys(root.properties?.defaults?.properties ?? {}));
  const writer = createWriter(root.$defs ?? {}, inherited);
  return [
    '<!-- Generated from the schema in src/config by `npm run docs`. Change it there. -->',
    '# Configuration',
    BEFORE_FIELDS,
    '## Example',
    `\`\`\`yaml\n${EXAMPLE}\`\`\``,
    '## Fields',
    'A field without a default is required, unless it says "optional".',
    ...writer.topLevel(root),
    '',
  ].join('\n\n');
}

type Row = readonly [field: string, type: string, standard: string, meaning: string];

interface Part {
  readonly heading: string;
  readonly schema: Schema;
}

/** @param inherited Fields that a mapping takes from `defaults`. */
function createWriter(defs: Readonly<Record<string, Schema>>, inherited: ReadonlySet<string>) {
  /** The sections that a table refers to. Each section is written once. */
  const referencedIds = new Set<string>();

  function topLevel(root: Schema): string[] {
    const simple: [string, Schema][] = [];
    const sections: Part[] = [];
    for (const [name, schema] of Object.entries(root.properties ?? {})) {
      const inner = resolved(schema);
      const item = inner.items === undefined ? inner : resolved(inner.items);
      if (item.properties === undefined && item.oneOf === undefined) simple.push([name, schema]);
      else sections.push({ heading: name, schema: { ...item, ...described(schema, item) } });
    }
    const head = { type: 'object', properties: Object.fromEntries(simple), required: root.required ?? [] };
    return [
      ...section({ heading: 'Top level', schema: head }, 3),
      ...sections.flatMap((part) => section(part, 3)),
      ...[...referencedIds].flatMap((id) => section({ heading: titleOf(id), schema: defs[id] ?? {} }, 3)),
    ];
  }

  function section({ heading, schema }: Part, level: number): string[] {
    const lines = [`${'#'.repeat(level)} ${heading}`];
    if (schema.description !== undefined) lines.push(schema.description);
    if (schema.oneOf !== undefined) {
      if (schema.default !== undefined) lines.push(`Default: ${code(schema.default)}`);
      for (const branch of schema.oneOf) lines.push(...section(branchOf(heading, branch), level + 1));
      return lines;
    }
    const later: Part[] = [];
    const rows = rowsOf(schema, '', heading, later);
    lines.push(rows.length > 0 ? table(rows) : 'It has no further fields.');
    return [...lines, ...later.flatMap((part) => section(part, level + 1))];
  }

  function rowsOf(schema: Schema, prefix: string, heading: string, later: Part[]): Row[] {
    return nameFirst(Object.entries(schema.properties ?? {})).flatMap(([name, property]) => {
      const field = `${prefix}${name}`;
      const inner = resolved(property);
      const needed = schema.required?.includes(name) === true;
      const row: Row = [
        `\`${field}\``,
        typeOf(property),
        standardOf(property, needed, heading === 'mappings' && prefix === '' && inherited.has(name)),
        meaning(property, inner),
      ];
      const item = inner.items === undefined ? inner : resolved(inner.items);
      const list = inner.items === undefined ? '' : '[]';
      if (item.oneOf !== undefined) {
        later.push(...item.oneOf.map((branch) => branchOf(`${heading}: ${field}${list}`, branch)));
        return [row];
      }
      const nested =
        property.$ref === undefined && inner.items?.$ref === undefined && item.properties !== undefined;
      return nested ? [row, ...rowsOf(item, `${field}${list}.`, heading, later)] : [row];
    });
  }

  function typeOf(schema: Schema): string {
    if (schema.$ref !== undefined) return reference(schema.$ref);
    if (schema.const !== undefined) return code(schema.const);
    if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
    if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
    if (schema.oneOf !== undefined) return 'object, see below';
    switch (schema.type) {
      case 'array':
        return `list of ${typeOf(schema.items ?? {})}`;
      case 'object':
        return typeof schema.additionalProperties === 'object'
          ? `object of ${typeOf(schema.additionalProperties)}`
          : 'object';
      case 'integer':
      case 'number':
        return numberType(schema);
      case 'boolean':
        return '`true`, `false`';
      default:
        if (schema.format === 'uri') return 'address';
        return schema.pattern?.includes('ms|s|m|h|d') === true ? 'duration' : 'text';
    }
  }

  function reference(ref: string): string {
    const id = ref.slice(ref.lastIndexOf('/') + 1);
    if (id === 'Reference') return '[credential](#credentials)';
    referencedIds.add(id);
    const title = titleOf(id);
    return `[${title.toLowerCase()}](#${title.toLowerCase().replaceAll(' ', '-')})`;
  }

  function titleOf(id: string): string {
    return defs[id]?.title ?? id;
  }

  function resolved(schema: Schema): Schema {
    const id = schema.$ref?.slice(schema.$ref.lastIndexOf('/') + 1);
    return id === undefined ? schema : { ...defs[id], ...schema };
  }

  return { topLevel };
}

/**
 * Returns the section of one union member. Its heading contains the constant field whose value tells the members apart.
 */
function branchOf(heading: string, branch: Schema): Part {
  const entries = Object.entries(branch.properties ?? {});
  const [name, value] = entries.find(([, property]) => property.const !== undefined) ?? ['', {}];
  const properties = Object.fromEntries(entries.filter(([key]) => key !== name));
  return {
    heading: `${heading} with \`${name}: ${String(value?.const)}\``,
    schema: { ...branch, properties },
  };
}

/** Moves the field `name` to the first position. */
function nameFirst<T>(entries: readonly [string, T][]): readonly [string, T][] {
  return entries.toSorted(([a], [b]) => Number(b === 'name') - Number(a === 'name'));
}

function standardOf(property: Schema, needed: boolean, inherits: boolean): string {
  if (inherits) return 'of `defaults`';
  const standard = property.default;
  if (standard === undefined || standard === '' || isEmptyObject(standard))
    return needed ? 'required' : 'optional';
  return code(standard);
}

function isEmptyObject(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function described(outer: Schema, inner: Schema): { description?: string; default?: unknown } {
  const description = outer.description ?? inner.description;
  return {
    ...(description === undefined ? {} : { description }),
    ...(outer.default === undefined ? {} : { default: outer.default }),
  };
}

function numberType({ type, minimum, maximum, exclusiveMinimum }: Schema): string {
  const what = type === 'integer' ? 'whole number' : 'number';
  const from = minimum ?? exclusiveMinimum;
  if (from === undefined || maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER) return what;
  return `${what}, ${exclusiveMinimum === undefined ? `${from} to` : `more than ${from}, at most`} ${maximum}`;
}

function meaning(property: Schema, inner: Schema): string {
  const text = property.description ?? inner.description ?? '';
  const examples = (property.examples ?? []).map(code).join(', ');
  return examples === '' ? text : `${text} Example: ${examples}`;
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function table(rows: readonly Row[]): string {
  // Escape `|`, which would end the table cell even inside a code span.
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(['field', 'type', 'default', 'meaning']), '| --- | --- | --- | --- |', ...rows.map(line)].join(
    '\n',
  );
}
