//! What others lost, and would not have lost here: the incidents of section 1 of our security design, each by its
//! number.
mod d02;
mod d03;
mod d04;
mod d05;
mod d06;
mod d07;
mod d13;
mod d14;
mod put_back;
