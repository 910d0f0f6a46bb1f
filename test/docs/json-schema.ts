/** The part of JSON Schema that the generated schemas use. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

/** Returns a schema with all alternatives, references and list items expanded. */
function alternatives(root: JsonSchema, schema: JsonSchema): readonly JsonSchema[] {
  const name = schema.$ref?.replace('#/$defs/', '');
  const target = name === undefined ? undefined : root.$defs?.[name];
  const nested = [
    ...(target === undefined ? [] : [target]),
    ...(schema.oneOf ?? []),
    ...(schema.anyOf ?? []),
    ...(schema.allOf ?? []),
    ...(schema.items === undefined ? [] : [schema.items]),
  ];
  return [schema, ...nested.flatMap((one) => alternatives(root, one))];
}

/** Returns the schemas of the member `name`. */
function members(root: JsonSchema, schema: JsonSchema, name: string): readonly JsonSchema[] {
  return alternatives(root, schema).flatMap(({ properties, additionalProperties }) => {
    const property = properties?.[name];
    if (property !== undefined) return [property];
    return typeof additionalProperties === 'object' ? [additionalProperties] : [];
  });
}

/**
 * Whether a schema accepts members with any name. Such a schema has no constraints, or allows additional properties.
 */
function isOpen({
  type,
  properties,
  additionalProperties,
  items,
  $ref,
  oneOf,
  anyOf,
  allOf,
}: JsonSchema): boolean {
  if (additionalProperties !== undefined) return additionalProperties === true;
  const isConstrained = [properties, items, $ref, oneOf, anyOf, allOf].some((part) => part !== undefined);
  return !isConstrained && (type === undefined || type === 'object' || type === 'array');
}

/** Whether the schema allows this path. Any name matches a key of a map, and any index matches a list item. */
export function hasPath(root: JsonSchema, [first, ...rest]: readonly string[], at = root): boolean {
  if (first === undefined) return true;
  if (alternatives(root, at).some(isOpen)) return true;
  return members(root, at, first).some((member) => hasPath(root, rest, member));
}

/** Returns the names of all properties in a schema. */
export function propertyNames(schema: JsonSchema): ReadonlySet<string> {
  const names = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { properties } = value as JsonSchema;
    if (properties !== undefined) for (const name of Object.keys(properties)) names.add(name);
    for (const member of Object.values(value)) walk(member);
  };
  walk(schema);
  return names;
}

/** Returns the paths in a value that the schema does not allow. List items appear without an index. */
export function unknownPaths(
  root: JsonSchema,
  value: unknown,
  path: readonly string[] = [],
): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => unknownPaths(root, item, path));
  if (!hasPath(root, path)) return [path.join('.')];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => unknownPaths(root, member, [...path, name]));
}
