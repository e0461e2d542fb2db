/* SPDX-License-Identifier: MIT */
typedef int peal_ws_handshake_placeholder;
