import plugin from '../../../plugins/transport-uws/index.js';
import { keepAliveContract } from '../../contracts/keep-alive.contract.js';

keepAliveContract('transport-uws', plugin);
