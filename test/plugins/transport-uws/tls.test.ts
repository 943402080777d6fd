import plugin from '../../../plugins/transport-uws/index.js';
import { tlsContract } from '../../contracts/tls.contract.js';

tlsContract('transport-uws', plugin, { isSeamless: false });
