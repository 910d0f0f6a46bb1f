// Parts of the schemas of API responses.

export const text = { type: 'string' } as const;
export const integer = { type: 'integer' } as const;
export const boolean = { type: 'boolean' } as const;
export const time = { type: 'string', format: 'date-time' } as const;
export const nullable = <Type extends string>(schema: { readonly type: Type }) =>
  ({ ...schema, type: [schema.type, 'null'] }) as const;
export const health = { type: 'string', enum: ['up', 'degraded', 'down'] } as const;
export const list = (items: object) => ({ type: 'array', items }) as const;
export const reference = (name: string) => ({ $ref: `${name}#` }) as const;

export function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required } as const;
}
