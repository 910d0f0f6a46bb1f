// Parts of the schemas of API responses. A schema with a name is a component of the OpenAPI document. Other schemas
// refer to it with `reference`.

export const text = { type: 'string' } as const;
export const integer = { type: 'integer' } as const;
export const boolean = { type: 'boolean' } as const;
export const time = { type: 'string', format: 'date-time' } as const;
export const counts = { type: 'object', additionalProperties: integer } as const;
export const fingerprint = { ...text, description: 'A keyed fingerprint.' } as const;

export const nullable = <Type extends string>(schema: { readonly type: Type }) =>
  ({ ...schema, type: [schema.type, 'null'] }) as const;
export const oneOf = (words: readonly string[]) => ({ type: 'string', enum: words }) as const;
export const list = (items: object) => ({ type: 'array', items }) as const;
export const reference = (name: string) => ({ $ref: `${name}#` }) as const;

export function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required } as const;
}

/** A component with further members. */
export function extended(
  name: string,
  properties: Readonly<Record<string, object>>,
  optional: readonly string[] = [],
) {
  return { allOf: [reference(name), object(properties, optional)] } as const;
}

export const target = { mapping: text, namespace: text, secret: text } as const;

/** Why something failed. */
export const error = { code: text, message: text, remedy: text } as const;

export const pinned = {
  ...integer,
  description: 'The sequence of the record whose source versions the target is pinned to.',
} as const;

/** The targets that an answer about orphans leaves out. */
export const skipped = {
  waiting: {
    ...list(object({ ...target, until: object({ namespace: text, secret: text }) })),
    description: 'Targets that are kept until their mapping has created the replacement.',
  },
  unseen: {
    ...list(object({ what: text, code: text })),
    description: 'Targets or namespaces that could not be read, and may hold orphans.',
  },
} as const;
