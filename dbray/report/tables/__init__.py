"""What a study has on storage, as the frames that claims and figures are made of."""
