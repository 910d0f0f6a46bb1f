import { z } from 'zod';
import { ConfigFile } from './schema.ts';

/**
 * The JSON Schema of the configuration, for editors. No section is required, because several files can make up one
 * configuration.
 */
export function configurationSchema(): string {
  const { required: _, ...schema } = z.toJSONSchema(ConfigFile, { io: 'input' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
