import plugin from '../../../plugins/transport-uws/index.js';
import { tcpLimitContract } from '../../contracts/tcp-limit.contract.js';

tcpLimitContract('transport-uws', plugin);
