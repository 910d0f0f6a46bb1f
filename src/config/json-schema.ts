import { z } from 'zod';
import { ConfigFile } from './schema.ts';

/** The JSON Schema of the format, for editors. No section is required, since several files make one configuration. */
export function configurationSchema(): string {
  const { required: _, ...schema } = z.toJSONSchema(ConfigFile, { io: 'input' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
