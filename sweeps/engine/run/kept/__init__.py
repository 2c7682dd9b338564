"""What a run keeps of its networks beside numbers: trained weights with a card."""
