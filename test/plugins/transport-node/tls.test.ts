import plugin from '../../../plugins/transport-node/index.js';
import { tlsContract } from '../../contracts/tls.contract.js';

tlsContract('transport-node', plugin, { isSeamless: true });
