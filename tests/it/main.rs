//! The one integration binary: harnesses here, cases as data in `testdata/`.

mod corpus;
