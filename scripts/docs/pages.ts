import { configurationSchema } from '../../src/config/schema.ts';
import { chartReadme } from './chart-readme.ts';
import { chartSchema } from './chart-schema.ts';
import { cliPage } from './cli-page.ts';
import { testedComponents } from './components-table.ts';
import { configurationPage } from './configuration-page.ts';
import { errorsPage } from './errors-page.ts';
import { httpPage } from './http-page.ts';
import { importFieldPages } from './import-fields.ts';
import { metricsPage } from './metrics-page.ts';
import { mistakesPages } from './mistakes-page.ts';
import { overview } from './overview.ts';
import { pageErrorTexts } from './page-error-texts.ts';
import { pageTypes } from './page-types.ts';
import { valuesPage } from './values-page.ts';

/** Returns the path and the text of every generated page. The path is relative to the repository. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['deploy/chart/README.md', chartReadme()],
    ['deploy/chart/values.schema.json', chartSchema()],
    ['docs/explanation/how-it-is-tested.md', testedComponents()],
    ['docs/reference/cli.md', await cliPage()],
    ['docs/reference/configuration.md', configurationPage()],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/http.md', await httpPage()],
    ['docs/reference/metrics.md', metricsPage()],
    ['docs/reference/secretbridge.schema.json', configurationSchema()],
    ['docs/reference/values.md', await valuesPage()],
    ...(await importFieldPages()),
    ...(await mistakesPages()),
    ['src/cli/overview.json', await overview()],
    ['ui/src/api-types.ts', await pageTypes()],
    ['ui/src/error-texts.json', pageErrorTexts()],
  ]);
}
