#!/usr/bin/env node
// The path of the command that units and containers start.
import './host/cli.js';
