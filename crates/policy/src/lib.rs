//! Rules in, decision and reason out.
