import { AWS_PARAMETERS } from './kinds/aws-parameters.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(AWS_PARAMETERS);
